package pooltest

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

func endsWithContext(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for _, frozen := range []bool{false, true} {
		l := subscribe(tb, p)
		l.join("channel")
		if frozen {
			s.freeze()
		}
		endedByContext(tb, l.end(), context.Canceled)
		s.thaw()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*short)
	defer cancel()
	l := subscribeWith(tb, p, ctx)
	select {
	case <-l.broken:
	case <-time.After(2*short + slack):
		tb.Fatalf("Receive has not returned %v after the deadline of the subscription", slack)
	}
	endedByContext(tb, l.err, context.DeadlineExceeded)
	l.close()
	mustEcho(tb, p, "after it")
	forgotten(tb, s)
}

func endedByContext(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("error %q does not match %q", err, want)
	}
	if refusal := pool.Error(""); errors.As(err, &refusal) {
		tb.Errorf("error %q passes for one of the server", err)
	}
}

// forgotten fails the test unless the connections of subscriptions are gone, and
// stay so.
func forgotten(tb testing.TB, s *server) {
	tb.Helper()
	gone := func() bool { return len(s.listeners()) == 0 }
	eventually(tb, "the connection of a subscription that was closed is still open", gone)
	select {
	case <-time.After(short): // that nothing happens has no event
	case <-s.over:
	}
	if !gone() {
		tb.Error("a subscription that was closed is connected anew")
	}
}

func subscribeFrozen(tb testing.TB, open Opener) {
	for _, connected := range []bool{false, true} {
		s, p := setup(tb, open)
		subscriber := subscribing(tb, p)
		if connected {
			mustEcho(tb, p, "a connection")
		}
		s.freeze()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		time.AfterFunc(short, cancel)
		type result struct {
			s   pool.Subscription
			err error
		}
		back := make(chan result, 1)
		go func() {
			s, err := subscriber.Subscribe(ctx)
			back <- result{s, err}
		}()
		select {
		case r := <-back:
			if errors.Is(r.err, errors.ErrUnsupported) {
				tb.Skip(r.err)
			}
			if r.err == nil { // a dial succeeds, and nothing was asked
				newLine(tb, r.s, cancel).end()
			} else {
				endedByContext(tb, r.err, context.Canceled)
			}
		case <-time.After(short + slack):
			tb.Fatalf("Subscribe has not returned %v after its context ended", slack)
		}
		s.thaw()
		mustEcho(tb, p, "after it")
		forgotten(tb, s)
	}
}

func subscribeRefused(tb testing.TB, open Opener) {
	s := startServer(tb)
	s.stop()
	subscriber := subscribing(tb, open(tb, s.addr))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if sub, err := subscriber.Subscribe(ctx); err == nil {
		newLine(tb, sub, cancel)
		tb.Fatal("subscribed at a port where nobody listens")
	}
	if ctx.Err() != nil {
		tb.Error("the refusal went unnoticed until the context ended")
	}
}

func breaksAloud(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for _, end := range []func(*peer){(*peer).reset, (*peer).hangUp} {
		l := subscribe(tb, p)
		l.join("channel")
		l.join("another")
		for _, p := range s.listeners() {
			end(p)
		}
		if err := l.breaks(); errors.As(err, new(pool.Error)) {
			tb.Errorf("a connection that broke ended Receive with the error %q of the server", err)
		}
		l.close()
		forgotten(tb, s)
		mustAnswerAgain(tb, p)
	}
}

// mustAnswerAgain gives a pool the time to notice that connections broke.
func mustAnswerAgain(tb testing.TB, p pool.Pool) {
	tb.Helper()
	eventually(tb, "the pool does not work any more", func() bool { return echo(p, "after it") == nil })
}

func joinRefused(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for _, text := range []string{
		"NOPERM No permissions to access a channel",
		"NOAUTH Authentication required.",
		"ERR unknown command 'SUBSCRIBE', with args beginning with: 'channel'",
	} {
		l := subscribe(tb, p)
		s.on("SUBSCRIBE", func(p *peer, _ []string) { p.reply(failure(text)) })
		l.asksFor("channel")
		err := l.breaks()
		if refusal := pool.Error(""); !errors.As(err, &refusal) || string(refusal) != text {
			tb.Errorf("the server said %q and Receive %q", text, err)
		}
		s.freeze() // the connection is as good as ever, and Close must not ask for more
		l.close()
		s.thaw()
		forgotten(tb, s)
		mustEcho(tb, p, "after it")
	}
}

// subscribingLeavesNothing leaves what a pool opens in the background out of account
// until that is closed: some connect ahead.
func subscribingLeavesNothing(tb testing.TB, open Opener) {
	const rounds = 20
	atFirst := runtime.NumGoroutine()
	inner := &scope{TB: tb}
	defer inner.end()
	s := startServer(inner)
	p := open(inner, s.addr)
	mustEcho(tb, p, "a connection")
	connections, goroutines := s.connections(), runtime.NumGoroutine()
	for i := range rounds {
		l := subscribe(inner, p)
		if i%2 == 0 {
			l.join("channel")
		}
		l.end()
	}
	forgotten(tb, s)
	eventually(tb, "connections are left", func() bool { return s.connections() < connections+rounds/4 })
	eventually(tb, "goroutines are left", func() bool { return runtime.NumGoroutine() < goroutines+rounds/2 })
	inner.end()
	eventually(tb, "goroutines are left when the pool is closed", func() bool { return runtime.NumGoroutine() <= atFirst })
}
