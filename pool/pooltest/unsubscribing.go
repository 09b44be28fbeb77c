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
		outcome{err: l.end()}.endedBy(tb, context.Canceled)
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
	outcome{err: l.err}.endedBy(tb, context.DeadlineExceeded)
	l.close()
	mustEcho(tb, p, "after it")
	noConnectionLeft(tb, s)
}

// noConnectionLeft fails the test unless the connections of subscriptions are closed, and are
// not opened again.
func noConnectionLeft(tb testing.TB, s *server) {
	tb.Helper()
	gone := func() bool { return len(s.subscribers()) == 0 }
	eventually(tb, "the connection of a subscription that was closed is still open", gone)
	select {
	case <-time.After(short): // a connection that is not opened has no event
	case <-s.over:
	}
	if !gone() {
		tb.Error("a subscription that was closed has connected again")
	}
}

func subscribeFrozen(tb testing.TB, open Opener) {
	for _, connected := range []bool{false, true} {
		s, p := setup(tb, open)
		subscriber := subscriberOf(tb, p)
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
			if r.err == nil { // it only dialed, which succeeds
				newSubscription(tb, r.s, cancel).end()
			} else {
				outcome{err: r.err}.endedBy(tb, context.Canceled)
			}
		case <-time.After(short + slack):
			tb.Fatalf("Subscribe has not returned %v after its context ended", slack)
		}
		s.thaw()
		mustEcho(tb, p, "after it")
		noConnectionLeft(tb, s)
	}
}

func subscribeRefused(tb testing.TB, open Opener) {
	s := startServer(tb)
	s.stop()
	subscriber := subscriberOf(tb, open(tb, s.addr))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if sub, err := subscriber.Subscribe(ctx); err == nil {
		newSubscription(tb, sub, cancel)
		tb.Fatal("subscribed at a port without a server")
	}
	if ctx.Err() != nil {
		tb.Error("the refusal went unnoticed until the context ended")
	}
}

func breaksVisibly(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for _, end := range []func(*peer){(*peer).reset, (*peer).hangUp} {
		l := subscribe(tb, p)
		l.join("channel")
		l.join("another")
		for _, p := range s.subscribers() {
			end(p)
		}
		if err := l.waitBroken(); errors.As(err, new(pool.Error)) {
			tb.Errorf("a connection that broke ended Receive with the error %q of the server", err)
		}
		l.close()
		noConnectionLeft(tb, s)
		mustRecover(tb, p)
	}
}

// mustRecover waits until the pool works again after connections broke.
func mustRecover(tb testing.TB, p pool.Pool) {
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
		l.sendJoin("channel")
		outcome{err: l.waitBroken()}.refusedWith(tb, text)
		s.freeze() // the connection still works, and Close must not wait for an answer on it
		l.close()
		s.thaw()
		noConnectionLeft(tb, s)
		mustEcho(tb, p, "after it")
	}
}

// subscribingLeavesNothing allows some connections and goroutines until the pool is closed:
// some pools connect in advance.
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
	noConnectionLeft(tb, s)
	eventually(tb, "connections are left", func() bool { return s.connections() < connections+rounds/4 })
	eventually(tb, "goroutines are left", func() bool { return runtime.NumGoroutine() < goroutines+rounds/2 })
	inner.end()
	eventually(tb, "goroutines are left when the pool is closed", func() bool { return runtime.NumGoroutine() <= atFirst })
}
