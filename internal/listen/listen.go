// Package listen hears what nodes publish, on behalf of all who wait for locks in this
// process. All Lockers share one subscription for each client, see [subscription].
//
// What is heard is a hint. A message may be lost, late, doubled or forged, the
// server may refuse to be listened to, the connection may break without a sign:
// that costs time, and whoever waits asks again by himself in the end.
package listen

import (
	"context"
	"reflect"
	"sync"

	"github.com/quorumlock/quorumlock/pool"
)

// A Listener is what one Locker has of the subscription to one node. It is safe for
// concurrent use. It holds nothing while no channel is wanted.
type Listener struct {
	client any // by which its subscription is found
	node   pool.Subscriber
	hear   func(pool.Event)

	mu     sync.Mutex     // protects the rest; taken before the mutexes of subscriptions
	wants  map[string]int // how often each channel is wanted
	used   bool           // one was wanted
	closed bool
}

// New returns a listener to one node. hear is told of every message on a channel
// that is wanted, and that a channel was joined: what was published before that
// went unheard. It must not block.
func New(node pool.Subscriber, hear func(pool.Event)) *Listener {
	l := &Listener{node: node, hear: hear, wants: make(map[string]int)}
	l.client = ClientOf(node)
	if l.client == nil {
		l.client = l // shared with nobody
	}
	return l
}

// ClientOf returns what is equal for two pools that stand on the same client, or nil
// if that cannot be known.
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

// Want asks for a channel and returns at once: true if it is joined already,
// while otherwise an event will tell.
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

// Drop takes a Want back.
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

// Yield ends the subscription at once and for a while, so that its connection serves
// commands: the client had none for one of them.
func (l *Listener) Yield() {
	if s := subscriptions.find(l.client); s != nil {
		defer s.mu.Unlock()
		s.yield()
	}
}

// Close drops what is still wanted. If nobody else wants anything of the client, the
// subscription ends, and Close waits for that until ctx ends: a client may be
// connecting.
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

// subscriptions has that of each client of which something is wanted. It is the
// process's, so that Lockers which know nothing of each other share them.
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

// get returns the subscription of a client with its mutex held. If there was none,
// something must be wanted of it before the mutex is given back.
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
