package goredis

import (
	"errors"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
)

// decoded is what becomes of bytes that come in pieces of at most n.
func decoded(b []byte, n int) (any, bool, error) {
	var d decoder
	d.Reset()
	for piece := range slices.Chunk(b, n) {
		if _, err := d.Write(piece); err != nil {
			return d.Value, d.Done, err
		}
	}
	return d.Value, d.Done, nil
}

func TestAnErrorReplyIsAnErrorForGoRedisWhenItIsComplete(t *testing.T) {
	for _, sent := range []string{"-NOSCRIPT gone\r\n", "!13\r\nNOSCRIPT gone\r\n", "|1\r\n+a\r\n-b\r\n-NOSCRIPT gone\r\n"} {
		for n := range len(sent) {
			value, done, err := decoded([]byte(sent), n+1)
			var refusal redis.Error
			if !done || value != pool.Error("NOSCRIPT gone") || !errors.As(err, &refusal) || refusal.Error() != "NOSCRIPT gone" {
				t.Errorf("%q in pieces of %d: got %#v, %t, %v", sent, n+1, value, done, err)
			}
			if _, _, err := decoded([]byte(sent)[:n], n+1); err != nil {
				t.Errorf("the first %d bytes of %q: got %v, and the rest would be the next reply", n, sent, err)
			}
		}
	}
}
