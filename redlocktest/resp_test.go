package redlocktest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/redlocktest"
)

// wire is a connection to a node without a client in between.
type wire struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, n *redlocktest.Node) *wire {
	t.Helper()
	c, err := n.Dial(context.Background(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &wire{Conn: c, r: bufio.NewReader(c)}
}

// send writes commands, each in words.
func (w *wire) send(t *testing.T, commands ...string) {
	t.Helper()
	var b strings.Builder
	for _, c := range commands {
		words := strings.Fields(c)
		fmt.Fprintf(&b, "*%d\r\n", len(words))
		for _, word := range words {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
		}
	}
	if _, err := w.Write([]byte(b.String())); err != nil {
		t.Fatal(err)
	}
}

// expect reads lines of answers.
func (w *wire) expect(t *testing.T, lines ...string) {
	t.Helper()
	for _, want := range lines {
		got, err := w.r.ReadString('\n')
		if got = strings.TrimSuffix(got, "\r\n"); err != nil || got != want {
			t.Fatalf("answer %q, %v, want %q", got, err, want)
		}
	}
}
