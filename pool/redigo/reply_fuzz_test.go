package redigo

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

// An answer is the server's end of a connection, which sends in pieces of at most n.
type answer struct {
	net.Conn
	pending []byte
	n       int
}

func (a *answer) Read(b []byte) (int, error) {
	if len(a.pending) == 0 {
		return 0, io.EOF
	}
	n := copy(b, a.pending[:min(a.n, len(a.pending))])
	a.pending = a.pending[n:]
	return n, nil
}

func (a *answer) Close() error                    { return nil }
func (a *answer) SetReadDeadline(time.Time) error { return nil }

func received(b []byte, n int) (any, error) {
	return wire{redis.NewConn(&answer{pending: b, n: n}, 0, 0)}.Receive()
}

// encoded writes a reply as a server would.
func encoded(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "$-1\r\n"...)
	case int64:
		return fmt.Appendf(b, ":%d\r\n", v)
	case string:
		return fmt.Appendf(b, "$%d\r\n%s\r\n", len(v), v)
	case pool.Error:
		return fmt.Appendf(b, "-%s\r\n", string(v))
	}
	all := v.([]any)
	b = fmt.Appendf(b, "*%d\r\n", len(all))
	for _, element := range all {
		b = encoded(b, element)
	}
	return b
}

func wantContract(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil, string, int64, pool.Error:
	case []any:
		for _, element := range v {
			wantContract(t, element)
		}
	default:
		t.Fatalf("%#v is no reply of a pool", v)
	}
}

// announces matches lengths that redigo takes memory for before anything comes, and
// those that it reads as others, for it does not look out for overflows.
var announces = regexp.MustCompile(`[0-9]{5}`)

// A reply is what the contract knows, whole or in pieces; written again it is read as
// the same; and it is no null, which means "granted", where none came.
func FuzzReply(f *testing.F) {
	for _, sent := range []string{"$-1\r\n", "*-1\r\n", "+OK\r\n", "$0\r\n\r\n", "$4\r\n\r\n\r\n\r\n", ":-9223372036854775808\r\n", "-NOSCRIPT gone\r\n", "*0\r\n",
		"*2\r\n-ERR inside\r\n*2\r\n:1\r\n$-1\r\n", "*2\r\n$5\r\nvalue\r\n:7999\r\n", "$5\r\nva", "$2\r\nOKxx", "*1\r\n", "$-2\r\n", "*-2\r\n", ":\r\n", "\r\n", "_\r\n", "#t\r\n", "%1\r\n+a\r\n:1\r\n",
		">2\r\n+a\r\n+b\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n+deep\r\n", "$01\r\nx\r\n", "$-1"} {
		f.Add([]byte(sent), byte(0))
		f.Add([]byte(sent), byte(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, by byte) {
		if announces.Match(b) {
			return
		}
		got, err := received(b, len(b)+1)
		pieces, piecesErr := received(b, 1+int(by))
		if fmt.Sprint(err) != fmt.Sprint(piecesErr) || !reflect.DeepEqual(got, pieces) {
			t.Fatalf("%q: got %#v, %v whole and %#v, %v in pieces", b, got, err, pieces, piecesErr)
		}
		if refusal, ok := err.(pool.Error); ok {
			got, err = refusal, nil
		}
		if err != nil {
			return
		}
		wantContract(t, got)
		if got == nil && !bytes.HasPrefix(b, []byte("$-1\r\n")) && !bytes.HasPrefix(b, []byte("*-1\r\n")) {
			t.Fatalf("%q is a null", b)
		}
		again, err := received(encoded(nil, got), 1+int(by))
		if refusal, ok := err.(pool.Error); ok {
			again, err = refusal, nil
		}
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("%q is %#v, and written again %#v, %v", b, got, again, err)
		}
	})
}
