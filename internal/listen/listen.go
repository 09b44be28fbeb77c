// Package listen receives the messages that nodes publish, for all waiters of this process.
// All Lockers share one subscription for each client, see [subscription].
//
// A message is a hint. It may be lost, late, doubled or forged. The server may refuse the
// subscription, and the connection may break without a sign. All that only costs time: a
// waiter retries after a delay, whether it was notified or not.
package listen

import (
	"context"
	"reflect"
	"sync"

	"github.com/quorumlock/quorumlock/pool"
)

// A Listener is the share of one Locker in the subscription to one node. It is safe for
// concurrent use. It holds no goroutine and no connection while no channel is wanted.
type Listener struct {
	client any // the key of its subscription
	node   pool.Subscriber
	notify func(pool.Event)

	mu     sync.Mutex     // protects the rest; taken before the mutexes of subscriptions
	wants  map[string]int // how often each channel is wanted
	used   bool           // a channel was wanted once
	closed bool
}

// New returns a listener to one node. It calls notify with every message on a wanted channel,
// and when a channel was joined: messages published before that were not received. notify
// must not block.
func New(node pool.Subscriber, notify func(pool.Event)) *Listener {
	l := &Listener{node: node, notify: notify, wants: make(map[string]int)}
	l.client = ClientOf(node)
	if l.client == nil {
		l.client = l // not shared
	}
	return l
}

// ClientOf returns a value that is equal for two pools on the same client, or nil if the
// client is not known.
func ClientOf(node any) any {
	if b, ok := node.(pool.Backed); ok {
		if client := b.Backing(); client != nil && reflect.ValueOf(client).Comparable() {
			return client
		}
	}
	if reflect.ValueOf(node).Comparable() {
		return node
	}
	return nil
}

// Want asks for a channel and returns at once. It returns true if the channel is joined
// already; otherwise a Joined event follows.
func (l *Listener) Want(name string) (joined bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.wants[name]++
	l.used = true
	s := subscriptions.get(l.client, l.node)
	defer s.mu.Unlock()
	return s.want(name, l)
}

// Drop ends a Want.
func (l *Listener) Drop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return // Close dropped it
	}
	if l.wants[name]--; l.wants[name] > 0 {
		return
	}
	delete(l.wants, name)
	if s := subscriptions.find(l.client); s != nil {
		defer s.mu.Unlock()
		s.drop(name, l)
	}
}

// Yield ends the subscription at once, and for a while, since a command found no free
// connection in the client. The connection of the subscription then serves commands.
func (l *Listener) Yield() {
	if s := subscriptions.find(l.client); s != nil {
		defer s.mu.Unlock()
		s.yield()
	}
}

// Close ends all Wants. If no other Listener wants a channel from the client, the
// subscription ends. Close waits for that until ctx ends, since a client may be connecting.
func (l *Listener) Close(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	wants, used := l.wants, l.used
	l.wants = nil
	l.mu.Unlock()
	if !used {
		return
	}
	s := subscriptions.find(l.client)
	if s == nil {
		return
	}
	for name := range wants {
		s.drop(name, l)
	}
	ended := s.endIfUnwanted()
	s.mu.Unlock()
	if ended != nil {
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
}

// subscriptions has the subscription of each client from which a channel is wanted. It is
// global, so that independent Lockers share subscriptions.
var subscriptions = registry{byClient: make(map[any]*subscription)}

type registry struct {
	mu       sync.Mutex // protects byClient; taken before the mutex of a subscription
	byClient map[any]*subscription
}

// find returns the subscription of a client with its mutex held, or nil.
func (r *registry) find(client any) *subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byClient[client]
	if s != nil {
		s.mu.Lock()
	}
	return s
}

// get returns the subscription of a client with its mutex held. If it is new, the caller must
// want a channel before it unlocks the mutex.
func (r *registry) get(client any, node pool.Subscriber) *subscription {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.byClient[client]
	if s == nil {
		s = newSubscription(client, node)
		r.byClient[client] = s
		s.mu.Lock()
		go s.run() // ends when no channel is wanted for a while, or with Close
		return s
	}
	s.mu.Lock()
	return s
}
