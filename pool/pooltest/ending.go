package pooltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

func demoted(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for i, text := range []string{
		"READONLY You can't write against a read only replica.",
		"ERR READONLY You can't write against a read only replica.",
		"ERR Error running script (call to f_x): @user_script:1: -READONLY You can't write against a read only replica.",
		"READONLY You can't write against a read only replica. script: 0a9f75e9, on @user_script:1.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"ERR upstream said: MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
	} {
		name, on := fmt.Sprint("DEMOTED", i), make(chan *peer, 2)
		s.on(name, func(p *peer, _ []string) {
			on <- p
			p.reply(failure(text))
		})
		mustEcho(tb, p, "a connection")
		o := attempt(p, name)
		o.refusedWith(tb, text)
		old := <-on
		eventually(tb, fmt.Sprintf("the connection is kept after %q", text), func() bool {
			return !slices.Contains(s.peers(), old)
		})
		mustRecover(tb, p)
	}
}

func hangs(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	s.on("HANG", func(p *peer, _ []string) { p.hold(nil) })
	mustEcho(tb, p, "a connection")
	tooLate(tb, p, "HANG").endedBy(tb, context.DeadlineExceeded)
	// Long enough for a busy machine, and shorter than the period in which some clients check
	// their connections.
	ctx, cancel := context.WithTimeout(context.Background(), min(patience, 5*time.Second))
	defer cancel()
	if err := echoWith(ctx, p, "after it"); err != nil {
		tb.Fatalf("after a call that hangs: %v", err)
	}
}

// afterClose closes a pool that had a connection, and one that had none.
func afterClose(tb testing.TB, open Opener) {
	for _, connected := range []bool{true, false} {
		s, inner := startServer(tb), &scope{TB: tb}
		p := open(inner, s.addr)
		if connected {
			mustEcho(tb, p, "a connection")
		}
		inner.end()
		for range 2 {
			closed(tb, attempt(p, "ECHO", "after it"))
		}
		if _, ok := p.(pool.Submitter); ok {
			d := &submitter{tb: tb, s: s, inner: inner}
			d.p = p.(interface {
				pool.Pool
				pool.Submitter
			})
			closed(tb, d.outcome(d.submit(d.context(patience), "ECHO", "submitted"), patience))
		}
	}
}

func closed(tb testing.TB, o outcome) {
	tb.Helper()
	o.neverSent(tb)
	if !errors.Is(o.err, pool.ErrClosed) {
		tb.Errorf("got %#v and error %v, want one that matches %q", o.reply, o.err, pool.ErrClosed)
	}
}
