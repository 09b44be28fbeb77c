package pooltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A line is a subscription in the hands that the lock has for it: the case joins
// and leaves, and another goroutine receives.
type line struct {
	tb     testing.TB
	s      pool.Subscription
	cancel context.CancelFunc
	events chan pool.Event
	broken chan struct{} // closed when Receive returned err
	err    error
	closed bool
}

// subscribing returns the pool as what the case needs, and skips the case if it is none.
func subscribing(tb testing.TB, p pool.Pool) pool.Subscriber {
	tb.Helper()
	subscriber, ok := p.(pool.Subscriber)
	if !ok {
		tb.Skip("the pool is no pool.Subscriber")
	}
	return subscriber
}

// subscribe opens a subscription. It skips the case if the pool has none to offer, or
// not with the options that it has: then there is nothing to test.
func subscribe(tb testing.TB, p pool.Pool) *line {
	tb.Helper()
	return subscribeWith(tb, p, context.Background())
}

func subscribeWith(tb testing.TB, p pool.Pool, ctx context.Context) *line {
	tb.Helper()
	subscriber := subscribing(tb, p)
	ctx, cancel := context.WithCancel(ctx)
	connecting := time.AfterFunc(patience, cancel)
	s, err := subscriber.Subscribe(ctx)
	connecting.Stop()
	if err != nil {
		cancel()
		if errors.Is(err, errors.ErrUnsupported) {
			tb.Skipf("Subscribe: %v", err)
		}
		tb.Fatalf("Subscribe: %v", err)
	}
	return newLine(tb, s, cancel)
}

// newLine receives what a subscription hears. cancel ends its context, and the test
// does so in the end.
func newLine(tb testing.TB, s pool.Subscription, cancel context.CancelFunc) *line {
	l := &line{tb: tb, s: s, cancel: cancel, events: make(chan pool.Event, 10_000), broken: make(chan struct{})}
	go func() { // ends with the subscription, or with the server if that is deaf
		defer close(l.broken)
		for {
			e, err := s.Receive()
			if err != nil {
				l.err = err
				return
			}
			select {
			case l.events <- e:
			default:
				l.err = errors.New("the suite expects fewer events")
				return
			}
		}
	}()
	tb.Cleanup(func() {
		cancel()
		select {
		case <-l.broken:
			if !l.closed {
				_ = s.Close()
			}
		case <-time.After(slack): // a failure that the case has noticed
		}
	})
	return l
}

// any returns the next event, whatever its kind.
func (l *line) any() pool.Event {
	l.tb.Helper()
	select {
	case e := <-l.events:
		return e
	case <-l.broken:
		select {
		case e := <-l.events: // came before
			return e
		default:
		}
		l.tb.Fatalf("Receive: %v", l.err)
	case <-time.After(patience):
		l.tb.Fatal("nothing was received")
	}
	return pool.Event{}
}

// next returns the next event that says something.
func (l *line) next() pool.Event {
	l.tb.Helper()
	for {
		if e := l.any(); e.Kind != pool.Other {
			return e
		}
	}
}

// want fails the test unless the next event that says something is this one.
func (l *line) want(kind pool.EventKind, channel, message string) {
	l.tb.Helper()
	got, want := l.next(), pool.Event{Kind: kind, Channel: channel, Message: message}
	if got != want {
		l.tb.Fatalf("received %.200q, want %.200q", show(got), show(want))
	}
}

func show(e pool.Event) string {
	kind := map[pool.EventKind]string{pool.Joined: "joined ", pool.Message: "message on "}[e.Kind]
	return kind + e.Channel + ": " + e.Message
}

// join joins a channel and waits until the server has said so.
func (l *line) join(channel string) {
	l.tb.Helper()
	l.asksFor(channel)
	l.want(pool.Joined, channel, "")
}

// ask fails the test unless something is written soon, whatever Receive does.
func (l *line) ask(what func() error) {
	l.tb.Helper()
	back := make(chan error, 1)
	go func() { back <- what() }()
	select {
	case err := <-back:
		if err != nil {
			l.tb.Fatal(err)
		}
	case <-time.After(patience):
		l.tb.Fatal("Join, Leave or Ping has not returned")
	}
}

// asksFor joins a channel and does not wait for the server.
func (l *line) asksFor(channel string) {
	l.tb.Helper()
	l.ask(func() error { return l.s.Join(channel) })
}

func (l *line) leaves(channel string) {
	l.tb.Helper()
	l.ask(func() error { return l.s.Leave(channel) })
}

// breaks returns the error that ends Receive, which is due.
func (l *line) breaks() error {
	l.tb.Helper()
	select {
	case <-l.broken:
	case <-time.After(slack):
		l.tb.Fatalf("Receive has not returned an error after %v", slack)
	}
	return l.err
}

// end ends the context, and with it everything else, and returns Receive's error.
func (l *line) end() error {
	l.tb.Helper()
	l.cancel()
	err := l.breaks()
	l.close()
	return err
}

// close closes what is over already, so that there is nothing to wait for.
func (l *line) close() {
	l.tb.Helper()
	l.cancel()
	l.closed = true
	back := make(chan struct{})
	go func() {
		_ = l.s.Close() // broken or interrupted: what it says is no news
		close(back)
	}()
	select {
	case <-back:
	case <-time.After(slack):
		l.tb.Fatalf("Close has not returned after %v", slack)
	}
}
