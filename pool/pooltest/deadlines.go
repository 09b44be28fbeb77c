package pooltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

func frozen(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	mustEcho(tb, p, "a connection")
	s.freeze()
	for range 2 {
		o := tooLate(tb, p, "ECHO", "frozen")
		o.endedBy(tb, context.DeadlineExceeded)
		if o.took < short-short/10 {
			tb.Errorf("gave up after %v, the deadline was %v away", o.took, short)
		}
	}
	s.thaw()
	mustEcho(tb, p, "after it")
}

func frozenFromTheStart(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	s.freeze()
	o := tooLate(tb, p, "ECHO", "frozen")
	o.endedBy(tb, context.DeadlineExceeded)
	s.thaw()
	mustEcho(tb, p, "after it")
	if errors.Is(o.err, pool.ErrNotSent) && s.count("ECHO frozen") > 0 {
		tb.Errorf("the server got a command whose error says that it was not sent: %q", o.err)
	}
}

func halfReply(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	done := make(chan struct{})
	s.on("HALF", func(p *peer, _ []string) {
		for i := 0; ; i++ { // a byte at times, until the call has returned
			p.reply(raw("$1000\r\nhalf of it"[i%2:]))
			select {
			case <-done:
				return
			case <-p.server.over:
				return
			case <-time.After(short / 10):
			}
		}
	})
	o := tooLate(tb, p, "HALF")
	close(done)
	o.endedBy(tb, context.DeadlineExceeded)
	o.maybeSent(tb)
	mustEcho(tb, p, "after it")
}

func neverReads(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	mustEcho(tb, p, "a connection")
	s.freeze()
	o := tooLate(tb, p, "SET", "key", large())
	o.endedBy(tb, context.DeadlineExceeded)
	s.thaw()
	mustEcho(tb, p, "after it")
}

// exhausted also checks ErrNotSent: the server gets no command whose error matches it, and none
// twice.
func exhausted(tb testing.TB, open Opener) {
	const calls = 64
	s := startServer(tb)
	inner := &scope{TB: tb}
	defer inner.end()
	p := open(inner, s.addr)
	mustEcho(tb, p, "a connection")
	s.freeze()
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	var all sync.WaitGroup
	outcomes := make([]outcome, calls)
	begun := time.Now()
	for i := range outcomes {
		all.Go(func() {
			reply, err := p.Do(ctx, "MARK", fmt.Sprint(i))
			outcomes[i] = outcome{reply, err, time.Since(begun)}
		})
	}
	within(tb, short+slack, &all)
	s.thaw()
	inner.end()
	s.drain()
	for i, o := range outcomes {
		o.endedBy(tb, context.DeadlineExceeded)
		n := s.count(fmt.Sprintf("MARK %d", i))
		if n > 1 {
			tb.Errorf("command %d was sent %d times", i, n)
		}
		if n > 0 {
			o.maybeSent(tb)
		}
	}
}

func lateReply(tb testing.TB, open Opener) {
	const calls = 8
	s, p := setup(tb, open)
	release := make(chan struct{})
	s.on("SLOW", func(p *peer, args []string) {
		p.hold(release)
		p.reply(bulk("late " + args[1]))
	})
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			if reply, err := p.Do(ctx, "SLOW", fmt.Sprint(i)); err == nil {
				tb.Errorf("got %#v before it was sent", reply)
			}
		})
	}
	within(tb, short+slack, &all)
	// The late replies arrive during the next calls.
	close(release)
	for i := range 10 * calls {
		mustEcho(tb, p, fmt.Sprintf("mine %d", i))
	}
}
