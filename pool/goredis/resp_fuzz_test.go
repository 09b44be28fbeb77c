package goredis

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/big"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A script is the server's end of a connection: it denies HELLO, and answers
// whatever comes next with the same bytes, in pieces of at most n.
type script struct {
	net.Conn
	answer  []byte
	n       int
	pending []byte
}

func (s *script) Write(b []byte) (int, error) {
	if bytes.Contains(bytes.ToLower(b), []byte("hello")) {
		s.pending = []byte("-ERR unknown command\r\n")
	} else {
		s.pending = s.answer
	}
	return len(b), nil
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.pending) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.pending[:min(s.n, len(s.pending))])
	s.pending = s.pending[n:]
	return n, nil
}

func (s *script) Close() error                     { return nil }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

func answering(answer []byte, n int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			return &script{answer: answer, n: n}, nil
		},
		Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, PipelinePoolSize: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// announces matches lengths for which go-redis, unlike the decoder, takes memory at once.
var announces = regexp.MustCompile(`[0-9]{5}`)

// Whatever bytes come: in whole or in pieces, read by the decoder or by go-redis for the
// decoder, they are the same reply or none, and one that go-redis, which has a parser of its
// own, agrees with. A null above all: it means "granted".
func FuzzReply(f *testing.F) {
	const maxDepth = 128 // that of the decoder
	for _, sent := range []string{
		"#t\r\n", ",-inf\r\n", ",1e400\r\n", "(-3492890328409238509324\r\n", "=7\r\ntxt:a\r\n\r\n", "%2\r\n+b\r\n:1\r\n+a\r\n*-1\r\n",
		"~1\r\n%1\r\n*1\r\n+k\r\n+v\r\n", "!13\r\nNOSCRIPT gone\r\n", "|1\r\n+ttl\r\n*1\r\n:9\r\n:5\r\n", "*2\r\n|1\r\n+a\r\n|0\r\n%1\r\n+x\r\n-y\r\n+b\r\n$-1\r\n",
		"*0\r\n", "%0\r\n", "|0\r\n_\r\n", "~-1\r\n", "%-1\r\n", "=-1\r\n", "!-1\r\n", "*2\r\n-ERR a\r\n!5\r\nERR b\r\n", "|-1\r\n", ">-1\r\n",
		"$9223372036854775807\r\n", "$9223372036854775808\r\n", "$18446744073709551615\r\n", "*2000000000\r\n", "%4611686018427387904\r\n", "$-2\r\n", "$-0\r\n\r\n", "$+1\r\nx\r\n", "$00\r\n\r\n",
		"$5\r\nva", "$2\r\nOKxx", ":1\r", "*1\r\n", "+OK\r\n+OK\r\n", "+a\nb\r\n", "_x\r\n", "$?\r\n", "*?\r\n", ".\r\n", "\r\n",
		strings.Repeat("*1\r\n", maxDepth) + "_\r\n", strings.Repeat("*1\r\n", maxDepth+1), strings.Repeat("|1\r\n+k\r\n", 5) + "+v\r\n",
	} {
		f.Add([]byte(sent), byte(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, by byte) {
		n := 1 + int(by)
		var whole decoder
		whole.Reset()
		_, err := whole.Write(b)
		got, _, pieces := decoded(b, n)
		refusal, refused := got.(pool.Error)
		if (err == nil) != (pieces == nil) || err == nil && !reflect.DeepEqual(got, whole.Value) {
			t.Fatalf("%q: got %#v, %v whole and %#v, %v in pieces of %d", b, whole.Value, err, got, pieces, n)
		}
		var streamed decoder
		streamed.Reset()
		if _, err := streamed.ReadFrom(&script{pending: b, n: n}); (err == nil) != (pieces == nil) || err == nil && !reflect.DeepEqual(streamed.Value, got) {
			t.Fatalf("%q: got %#v, %v from a reader and %#v, %v in pieces", b, streamed.Value, err, got, pieces)
		}
		if !whole.Done || err != nil && !errors.As(err, new(redis.Error)) {
			return // bytes are missing, or there are too many, or it is no reply
		}

		if announces.Match(b) {
			return
		}
		client := answering(b, n)
		defer client.Close()
		v, err := New(client).Do(t.Context(), "GET", "k")
		if refused {
			if !errors.As(err, new(pool.Error)) || err.Error() != string(refusal) {
				t.Fatalf("%q: got %#v, %v through go-redis, want %q", b, v, err, refusal)
			}
			return
		}
		if err != nil || !reflect.DeepEqual(v, got) {
			t.Fatalf("%q: got %#v, %v through go-redis, want %#v", b, v, err, got)
		}
		if bytes.Count(b, []byte("|")) > 1 {
			return // an attribute within another is where go-redis loses count
		}
		theirs, err := client.Do(t.Context(), "GET", "k").Result()
		if err == redis.Nil {
			theirs, err = nil, nil
		}
		if err == nil && !same(got, theirs) || err != nil && got == nil {
			t.Fatalf("%q: got %#v, and go-redis %#v, %v", b, got, theirs, err)
		}
	})
}

// same compares a reply with what go-redis makes of it.
func same(ours, theirs any) bool {
	text, _ := ours.(string)
	list, isList := ours.([]any)
	switch theirs := theirs.(type) {
	case bool:
		return ours == map[bool]any{true: int64(1), false: int64(0)}[theirs]
	case float64:
		f, err := strconv.ParseFloat(text, 64)
		return err == nil && (f == theirs || f != f && theirs != theirs)
	case *big.Int:
		n, ok := new(big.Int).SetString(text, 10)
		return ok && n.Cmp(theirs) == 0
	case redis.Error:
		return ours == pool.Error(theirs.Error())
	case []any:
		return isList && slices.EqualFunc(list, theirs, same)
	case map[any]any: // a key that comes twice is one there
		return isList && len(list) >= 2*len(theirs) && len(list)%2 == 0
	}
	return ours == theirs
}
