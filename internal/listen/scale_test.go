package listen

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// One channel costs the same beside a few hundred others and beside eight thousand: to join it, to
// receive a message, and to drop it.
func TestTheCostOfOneChannelDoesNotGrowWithTheNumberOfOthers(t *testing.T) {
	const few, many = 250, 8000
	small, large := crowded(t, few), crowded(t, many)
	a, b := time.Hour, time.Hour
	for range 6 { // the smallest of each, measured in turn: the machine is busy
		a, b = min(a, small.events(200)), min(b, large.events(200))
	}
	t.Logf("%v beside %d channels, %v beside %d", a, few, b, many)
	if b > 4*a {
		t.Errorf("beside %d times as many channels it takes %.1f times as long", many/few, float64(b)/float64(a))
	}
}

// A crowd is a node with many joined channels.
type crowd struct {
	node   *fakenode.Node
	l      *Listener
	names  int
	joined chan struct{} // of events
	heard  chan struct{}
}

func crowded(t *testing.T, channels int) *crowd {
	c := &crowd{node: fakenode.New("node"), joined: make(chan struct{}, channels), heard: make(chan struct{}, 1)}
	c.l = New(unhurried{c.node}, func(e pool.Event) {
		if e.Kind == pool.Joined {
			c.joined <- struct{}{}
		} else {
			c.heard <- struct{}{}
		}
	})
	t.Cleanup(func() { c.l.Close(context.Background()) })
	for i := range channels {
		c.l.Want(fmt.Sprint("channel", i))
	}
	for range channels {
		<-c.joined
	}
	return c
}

// events is how long it takes to join n new channels, to receive a message on each, and to drop them,
// one after the other.
func (c *crowd) events(n int) time.Duration {
	start := time.Now()
	for range n {
		c.names++
		name := fmt.Sprint("new", c.names)
		if !c.l.Want(name) {
			<-c.joined
		}
		c.node.Publish(name, "")
		<-c.heard
		c.l.Drop(name)
	}
	return time.Since(start)
}

// unhurried waits until the socket of the model, which holds a thousand events only, has space.
type unhurried struct{ *fakenode.Node }

func (r unhurried) Subscribe(ctx context.Context) (pool.Subscription, error) {
	s, err := r.Node.Subscribe(ctx)
	return &unhurriedSubscription{Subscription: s, unread: make(chan struct{}, 900)}, err
}

type unhurriedSubscription struct {
	pool.Subscription
	unread chan struct{}
}

func (s *unhurriedSubscription) Join(channel string) error {
	s.unread <- struct{}{}
	return s.Subscription.Join(channel)
}

func (s *unhurriedSubscription) Receive() (pool.Event, error) {
	e, err := s.Subscription.Receive()
	if e.Kind == pool.Joined {
		<-s.unread
	}
	return e, err
}
