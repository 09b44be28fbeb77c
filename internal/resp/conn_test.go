package resp

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
)

// newTestConn returns a connection and the server's end of it.
func newTestConn(t *testing.T) (*Conn, net.Conn) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
	})
	return NewConn(ours), theirs
}

// What comes, whatever pieces it comes in, and what is made of it.
var stream = []struct {
	bytes string
	want  any // a pool.Error, or a reply
}{
	{"$-1\r\n", nil},
	{":1\r\n", int64(1)},
	{"+OK\r\n", "OK"},
	{"-NOSCRIPT No matching script.\r\n", pool.Error("NOSCRIPT No matching script.")},
	{">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\ntext\r\n:2\r\n", int64(2)},                                  // a push is skipped
	{">0\r\n|1\r\n+ttl\r\n:3600\r\n>2\r\n+invalidate\r\n*1\r\n$3\r\nkey\r\n$5\r\nv\r\nal\r\n", "v\r\nal"}, // two, and an attribute
	{"*2\r\n$5\r\nvalue\r\n:7999\r\n", []any{"value", int64(7999)}},
	{"_\r\n", nil},
	{"$40000\r\n" + strings.Repeat("x", 40000) + "\r\n", strings.Repeat("x", 40000)},
	{"$200000\r\n" + strings.Repeat("y", 200000) + "\r\n", strings.Repeat("y", 200000)},
	{"*1\r\n-ERR inside\r\n", []any{pool.Error("ERR inside")}},
	{"$0\r\n\r\n", ""},
}

func TestRepliesArriveWhole(t *testing.T) {
	for seed := range uint64(50) {
		c, theirs := newTestConn(t)
		random := rand.New(rand.NewPCG(seed, 0))
		go func() { // ends when everything was read, or with the connection
			var all strings.Builder
			for range 3 {
				for _, reply := range stream {
					all.WriteString(reply.bytes)
				}
			}
			for rest := all.String(); rest != ""; {
				n := min(len(rest), 1+random.IntN(1<<random.IntN(17)))
				if _, err := io.WriteString(theirs, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		for range 3 {
			for _, want := range stream {
				got, err := c.Receive()
				if refusal, ok := err.(pool.Error); ok {
					got = refusal
				} else if err != nil {
					t.Fatalf("seed %d: %.60q: %v", seed, want.bytes, err)
				}
				if !reflect.DeepEqual(got, want.want) {
					t.Fatalf("seed %d: %.60q: got %.60v", seed, want.bytes, got)
				}
			}
		}
		go io.WriteString(theirs, ":1\r\n")
		if _, err := c.Receive(); err != nil || cap(c.in) > 4*inSize {
			t.Errorf("%v; %d bytes are kept for replies", err, cap(c.in))
		}
	}
}

func TestWhatIsNoReplyEndsTheConnection(t *testing.T) {
	for name, bytes := range map[string]string{
		"no RESP":                 "HTTP/1.1 400 Bad Request\r\n",
		"a push in an array":      "*1\r\n>1\r\n+x\r\n+y\r\n",
		"a push without a length": ">-1\r\n",
		"the end":                 "",
		"half of it":              "$5\r\nva",
	} {
		t.Run(name, func(t *testing.T) {
			c, theirs := newTestConn(t)
			go func() {
				io.WriteString(theirs, bytes)
				theirs.Close()
			}()
			if got, err := c.Receive(); err == nil || errors.As(err, new(pool.Error)) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestCommandsAreWrittenAsTheProtocolWantsThem(t *testing.T) {
	c, theirs := newTestConn(t)
	got := make(chan string)
	go func() {
		all, _ := io.ReadAll(theirs)
		got <- string(all)
	}()
	for _, command := range [][]any{
		{"SET", "k\r\n", "", "PX", int64(8000)},
		{"ECHO", strings.Repeat("x", outSize)}, // more than it keeps room for
		{"DECRBY", "k", int64(-9223372036854775808)},
	} {
		if err := c.Send(command); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second has nothing to do
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	c.conn.Close()
	want := "*5\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n$2\r\nPX\r\n$4\r\n8000\r\n" +
		fmt.Sprintf("*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", outSize, strings.Repeat("x", outSize)) +
		"*3\r\n$6\r\nDECRBY\r\n$1\r\nk\r\n$20\r\n-9223372036854775808\r\n"
	if g := <-got; g != want {
		t.Errorf("sent %.200q", g)
	}
	if err := c.Send([]any{"SET", 1.5}); err == nil {
		t.Error("sent a float")
	}
}
