package fakenode

import (
	"context"
	"errors"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
)

var _ pool.Subscriber = (*Node)(nil)

// A subscription is one subscribed connection.
type subscription struct {
	node     *Node
	ctx      context.Context
	events   chan event
	broken   chan error
	channels map[string]bool // protected by Node.mu
}

// An event is what the server says: an error is a refusal.
type event struct {
	pool.Event
	err error
}

// Subscribe implements [pool.Subscriber].
func (n *Node) Subscribe(ctx context.Context) (pool.Subscription, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.faults.Refuse {
		n.refused++
		return nil, errors.New("connection refused")
	}
	s := &subscription{node: n, ctx: ctx, events: make(chan event, 1000), broken: make(chan error, 1), channels: make(map[string]bool)}
	n.subscriptions[s] = true
	return s, nil
}

func (s *subscription) Join(channel string) error {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	if text := s.node.faults.Error; text != "" {
		s.send(event{err: pool.Error(text)})
		return nil
	}
	if f := s.node.faults.Forbidden; f != "" && strings.HasPrefix(channel, f) {
		s.send(event{err: pool.Error("NOPERM this user has no permissions to access one of the channels")})
		return nil
	}
	s.channels[channel] = true
	s.say(pool.Event{Kind: pool.Joined, Channel: channel})
	return nil
}

func (s *subscription) Leave(channel string) error {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	delete(s.channels, channel)
	s.say(pool.Event{})
	return nil
}

func (s *subscription) Ping() error {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	s.say(pool.Event{})
	return nil
}

func (s *subscription) say(e pool.Event) { s.send(event{Event: e}) }

// send is like a socket: it carries what the server sends, unless the client does not read.
// Node.mu is held.
func (s *subscription) send(e event) {
	if s.node.faults.DropMessages || !isClosed(s.node.thawed) {
		return
	}
	select {
	case s.events <- e:
	default:
	}
}

func (s *subscription) hangUp(err error) {
	select {
	case s.broken <- err:
	default:
	}
}

func (s *subscription) Receive() (pool.Event, error) {
	select {
	case e := <-s.events:
		return e.Event, e.err
	case err := <-s.broken:
		return pool.Event{}, err
	case <-s.ctx.Done():
		return pool.Event{}, s.ctx.Err()
	}
}

func (s *subscription) Close() error {
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	delete(s.node.subscriptions, s)
	return nil
}

// publish sends to all subscriptions. Node.mu is held.
func (n *Node) publish(channel, message string) {
	n.published[channel]++
	for s := range n.subscriptions {
		if s.channels[channel] {
			s.say(pool.Event{Kind: pool.Message, Channel: channel, Message: message})
		}
	}
}

// Publish does what another client does with PUBLISH.
func (n *Node) Publish(channel, message string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.publish(channel, message)
}

// HangUp breaks the subscribed connections.
func (n *Node) HangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.subscriptions {
		s.hangUp(errors.New("connection reset by peer"))
	}
}

// Subscribed is how many connections are subscribed, and to how many channels in all.
func (n *Node) Subscribed() (connections, channels int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.subscriptions {
		channels += len(s.channels)
	}
	return len(n.subscriptions), channels
}
