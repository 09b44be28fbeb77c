package waiting

import (
	"slices"
	"sync"

	"github.com/quorumlock/quorumlock/internal/listen"
	"github.com/quorumlock/quorumlock/pool"
)

// A waiter whose lock is held by another process asks again when there is a reason: the
// release was published, or its subscription began, or the TTL of the holder is over, or the retry
// delay has passed; and before its flag or its position would expire. The
// retry delay is the backstop for all that was lost or never sent. A message decides nothing
// but when to ask.

// A subscription is the wake-up subscription of one waiter, to one channel, or to those of several
// locks. It gets all that the nodes publish about a lock, or, with WithFair, that its waiter is the
// first in the wait queue.
type subscription struct {
	channel  string   // if it is one
	stops    []func() // that end it, if they are several
	waiterID string
	notified chan struct{} // has room for one: an event came

	mu      sync.Mutex        // protects the rest
	joined  []bool            // nodes that have joined the channel, at some time, or all of several
	joins   []map[string]bool // by node, if there are several channels: those that it has joined; nil once it has joined all
	heard   []bool            // nodes of which an event came since the last attempt began
	free    []bool            // of them, those that published a release
	ours    bool              // a message named this waiter
	another bool              // a message named another waiter
	none    bool              // a message named no waiter
}

func newSubscription(channel, waiterID string, nodes int) *subscription {
	return &subscription{
		channel: channel, waiterID: waiterID, notified: make(chan struct{}, 1),
		joined: make([]bool, nodes), heard: make([]bool, nodes), free: make([]bool, nodes),
	}
}

// clear forgets the events so far: an attempt begins.
func (s *subscription) clear() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.heard)
	clear(s.free)
	s.ours, s.another, s.none = false, false, false
	select {
	case <-s.notified:
	default:
	}
}

// notify takes in an event of node i.
func (s *subscription) notify(i int, event pool.Event) {
	s.mu.Lock()
	if event.Kind == pool.Joined && s.joins != nil && s.joins[i] != nil {
		s.joins[i][event.Channel] = true
		if len(s.joins[i]) < len(s.stops) { // the others follow
			s.mu.Unlock()
			return
		}
		s.joins[i] = nil
	}
	s.heard[i] = true
	s.joined[i] = true
	if event.Kind == pool.Message {
		s.free[i] = true
		switch event.Message {
		case "":
			s.none = true
		case s.waiterID:
			s.ours = true
		default:
			s.another = true
		}
	}
	s.mu.Unlock()
	select {
	case s.notified <- struct{}{}:
	default:
	}
}

// An addressee is the waiter that messages named: the one that is to ask next.
type addressee int

const (
	noMessage     addressee = iota // there were none, only other reasons to ask
	thisWaiter                     // at least one message named this waiter
	anotherWaiter                  // at least one message named another waiter, and none this one
	noWaiter                       // the releaser knew no waiter
)

// reason reports whether an attempt is worth while. It is if as many nodes were heard as were
// missing to a majority, or if all nodes that have joined have published a release.
func (s *subscription) reason(missing int) (enough bool, named addressee) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ours:
		named = thisWaiter
	case s.another:
		named = anotherWaiter
	case s.none:
		named = noWaiter
	}
	return count(s.heard) >= missing || count(s.free) > 0 && count(s.free) >= count(s.joined), named
}

func count(flags []bool) (n int) {
	for _, set := range flags {
		if set {
			n++
		}
	}
	return n
}

// wakeUps passes the events of all nodes on: to the waiter that is subscribed to the channel,
// and to the watchers of the channel. The subscriptions to the nodes are shared by all Lockers
// of the process.
type wakeUps struct {
	listeners []*listen.Listener // by node, nil for a client that cannot subscribe

	mu       sync.Mutex               // protects the rest
	waiters  map[string]*subscription // by channel, of heads that wait
	watchers map[string]map[*watcher]bool
}

// A watcher is notified of every event on a channel, with the node that it is of.
type watcher struct{ notify func(int, pool.Event) }

// init prepares for the nodes behind pools. It connects to nothing.
func (w *wakeUps) init(pools []pool.Pool) {
	w.waiters, w.watchers = make(map[string]*subscription), make(map[string]map[*watcher]bool)
	w.listeners = make([]*listen.Listener, len(pools))
	for i, p := range pools {
		if s, ok := p.(pool.Subscriber); ok {
			w.listeners[i] = listen.New(s, func(e pool.Event) { w.notify(i, e) })
		}
	}
}

// notify passes an event of node i on.
func (w *wakeUps) notify(i int, event pool.Event) {
	w.mu.Lock()
	s := w.waiters[event.Channel]
	for each := range w.watchers[event.Channel] {
		each.notify(i, event)
	}
	w.mu.Unlock()
	if s != nil {
		s.notify(i, event)
	}
}

// subscribe begins a subscription.
func (w *wakeUps) subscribe(channel, waiterID string) *subscription {
	s := newSubscription(channel, waiterID, len(w.listeners))
	w.add(s)
	for i, l := range w.listeners {
		if l != nil && l.Want(channel) {
			s.notify(i, pool.Event{Kind: pool.Joined})
		}
	}
	return s
}

// subscribeAll begins a subscription to several channels. The queues of each of these locks may
// have a waiter that is subscribed to one of them.
func (w *wakeUps) subscribeAll(channels []string, waiterID string) *subscription {
	s := newSubscription("", waiterID, len(w.listeners))
	s.joins, s.stops = make([]map[string]bool, len(w.listeners)), make([]func(), len(channels))
	for i := range s.joins {
		s.joins[i] = make(map[string]bool)
	}
	for c, channel := range channels {
		stop, joined := w.watchAll(channel, s.notify)
		s.stops[c] = stop
		for i := range joined {
			if joined[i] {
				s.notify(i, pool.Event{Kind: pool.Joined, Channel: channel})
			}
		}
	}
	return s
}

// unsubscribe ends a subscription.
func (w *wakeUps) unsubscribe(s *subscription) {
	for _, stop := range s.stops {
		stop()
	}
	if s.stops != nil {
		return
	}
	w.remove(s)
	for _, l := range w.listeners {
		if l != nil {
			l.Drop(s.channel)
		}
	}
}

func (w *wakeUps) add(s *subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiters[s.channel] = s
}

// remove takes a subscription out, unless the next waiter has subscribed to the channel.
func (w *wakeUps) remove(s *subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiters[s.channel] == s {
		delete(w.waiters, s.channel)
	}
}

// watch has notify called for every event on a channel, until stop is called. notify must not
// block.
func (w *wakeUps) watch(channel string, notify func(int, pool.Event)) (stop func()) {
	stop, _ = w.watchAll(channel, notify)
	return stop
}

// watchAll is watch, and says which nodes have joined the channel already.
func (w *wakeUps) watchAll(channel string, notify func(int, pool.Event)) (stop func(), joined []bool) {
	each := &watcher{notify}
	joined = make([]bool, len(w.listeners))
	w.mu.Lock()
	if w.watchers[channel] == nil {
		w.watchers[channel] = make(map[*watcher]bool)
	}
	w.watchers[channel][each] = true
	w.mu.Unlock()
	for i, l := range w.listeners {
		joined[i] = l != nil && l.Want(channel)
	}
	return func() {
		for _, l := range slices.Backward(w.listeners) {
			if l != nil {
				l.Drop(channel)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.watchers[channel], each)
		if len(w.watchers[channel]) == 0 {
			delete(w.watchers, channel)
		}
	}, joined
}
