package pooltest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A subscription uses a pool.Subscription as the lock does: the case joins and leaves, and another
// goroutine receives.
type subscription struct {
	tb     testing.TB
	s      pool.Subscription
	cancel context.CancelFunc
	events chan pool.Event
	broken chan struct{} // closed when Receive returned err
	err    error
	closed bool
}

// subscriberOf returns the pool as a pool.Subscriber. It skips the case if the pool is none.
func subscriberOf(tb testing.TB, p pool.Pool) pool.Subscriber {
	tb.Helper()
	subscriber, ok := p.(pool.Subscriber)
	if !ok {
		tb.Skip("the pool is no pool.Subscriber")
	}
	return subscriber
}

// subscribe opens a subscription. It skips the case if the pool does not support them, or not with
// its options.
func subscribe(tb testing.TB, p pool.Pool) *subscription {
	tb.Helper()
	return subscribeWith(tb, p, context.Background())
}

func subscribeWith(tb testing.TB, p pool.Pool, ctx context.Context) *subscription {
	tb.Helper()
	subscriber := subscriberOf(tb, p)
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
	return newSubscription(tb, s, cancel)
}

// newSubscription starts to receive. cancel ends the context of s; the test calls it at its end.
func newSubscription(tb testing.TB, s pool.Subscription, cancel context.CancelFunc) *subscription {
	l := &subscription{tb: tb, s: s, cancel: cancel, events: make(chan pool.Event, 10_000), broken: make(chan struct{})}
	go func() { // ends with the subscription, or with the server
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
		case <-time.After(slack): // the case has failed already
		}
	})
	return l
}

// any returns the next event, whatever its kind.
func (l *subscription) any() pool.Event {
	l.tb.Helper()
	select {
	case e := <-l.events:
		return e
	case <-l.broken:
		select {
		case e := <-l.events: // it came before the end
			return e
		default:
		}
		l.tb.Fatalf("Receive: %v", l.err)
	case <-time.After(patience):
		l.tb.Fatal("nothing was received")
	}
	return pool.Event{}
}

// next returns the next event that is not pool.Other.
func (l *subscription) next() pool.Event {
	l.tb.Helper()
	for {
		if e := l.any(); e.Kind != pool.Other {
			return e
		}
	}
}

// want fails the test unless the next event that is not pool.Other is this one.
func (l *subscription) want(kind pool.EventKind, channel, message string) {
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

// join joins a channel and waits for the Joined event.
func (l *subscription) join(channel string) {
	l.tb.Helper()
	l.sendJoin(channel)
	l.want(pool.Joined, channel, "")
}

// ask fails the test unless what returns nil soon, whatever Receive does.
func (l *subscription) ask(what func() error) {
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

// sendJoin joins a channel and does not wait for the Joined event.
func (l *subscription) sendJoin(channel string) {
	l.tb.Helper()
	l.ask(func() error { return l.s.Join(channel) })
}

func (l *subscription) leave(channel string) {
	l.tb.Helper()
	l.ask(func() error { return l.s.Leave(channel) })
}

// waitBroken returns the error that ends Receive. It fails the test if Receive does not end soon.
func (l *subscription) waitBroken() error {
	l.tb.Helper()
	select {
	case <-l.broken:
	case <-time.After(slack):
		l.tb.Fatalf("Receive has not returned an error after %v", slack)
	}
	return l.err
}

// end ends the context, waits for the end of Receive, and returns its error.
func (l *subscription) end() error {
	l.tb.Helper()
	l.cancel()
	err := l.waitBroken()
	l.close()
	return err
}

// close closes a subscription whose Receive has ended. It fails the test if Close does not return
// soon.
func (l *subscription) close() {
	l.tb.Helper()
	l.cancel()
	l.closed = true
	back := make(chan struct{})
	go func() {
		_ = l.s.Close() // broken or interrupted: its error does not matter
		close(back)
	}()
	select {
	case <-back:
	case <-time.After(slack):
		l.tb.Fatalf("Close has not returned after %v", slack)
	}
}
