package main

import (
	"slices"
	"time"
)

// A token is a fencing token that was given out.
type token struct {
	name   string
	value  uint64
	begun  time.Duration // the call
	at     time.Duration
	reader bool
}

// lookToken checks that tokens are unique, and larger than all tokens that were given out
// before the call began: those of each name, if it is about several. Readers have no tokens of their
// own. One may have that of an attempt which failed. A later writer is not certain to have a larger one:
// it may not meet the node that remembers it.
func (w *world) lookToken(s *session) {
	value := s.held.Load().Token()
	if s.reads() && w.plan.Fencing {
		w.lookReaderToken(s, value)
	}
	if value == 0 {
		return
	}
	for _, earlier := range w.tokens {
		switch {
		case s.reads() || !slices.Contains(s.names, earlier.name):
		case earlier.reader && earlier.at < s.begun && earlier.value >= value:
			w.did["a writer's token is no larger than that of a reader before it"]++
		case earlier.reader:
		case earlier.value == value:
			w.violated(tokensGrow, "%v (call %d) was given token %d, which was given out before", s.client, s.Call, value)
		case earlier.at < s.begun && earlier.value > value:
			w.violated(tokensGrow, "%v (call %d) was given token %d; %d was given out before it began", s.client, s.Call, value, earlier.value)
		}
	}
	for _, name := range s.names {
		w.tokens = append(w.tokens, token{name, value, s.begun, w.moment(), s.reads()})
	}
}

// An order is what is known about the waiters of fair locks.
type order struct{ waiting map[*session]time.Duration } // since when a majority knows of it without a gap

// lookFair notes the registered calls. It follows only a call that is alone in the local queue
// of its Locker: the servers know a Locker by one waiter id, and the position is the Locker's.
func (w *world) lookFair() {
	if !w.plan.Fair {
		return
	}
	for _, s := range w.calls {
		if w.registered(s) {
			if _, known := w.fair.waiting[s]; !known {
				w.fair.waiting[s] = w.moment()
			}
		} else {
			delete(w.fair.waiting, s)
		}
	}
}

// registered reports whether a majority of the servers knows of a call that waits.
func (w *world) registered(s *session) bool {
	if s.ticket == 0 || !s.waits() || s.over() || s.client.dead.Load() {
		return false
	}
	for _, other := range w.calls {
		if other != s && other.client == s.client && other.Name == s.Name && other.Slots == s.Slots && other.reads() == s.reads() && other.waits() && !other.over() {
			return false
		}
	}
	n := 0
	for _, server := range w.servers {
		if !slices.ContainsFunc(s.queues, func(name string) bool { return !server.queues(name, s) }) {
			n++
		}
	}
	return n >= w.majority()
}

// queues reports whether a server has the position of a call in the wait queue of a lock.
func (n *server) queues(name string, s *session) bool {
	micros := n.clock.micros()
	n.store.now = micros / 1000
	if ticket, there := n.store.zscore("{"+name+"}:queue", s.waiterID); !there || ticket != s.ticket {
		return false
	}
	kept, _ := n.store.hget("{"+name+"}:lease", s.waiterID)
	until, _, ok := parseLease(kept)
	return ok && until > micros/1000
}

// A position is the lease of a waiter in the wait queue of a lock, or of a waiter that may go back there.
type position struct{ name, waiterID, kept string }

// positions are those in the wait queues of some locks.
func (n *server) positions(names []string) (all []position) {
	for _, name := range names {
		if e := n.store.find("{" + name + "}:lease"); e != nil {
			for id, kept := range e.fields {
				all = append(all, position{name, id, kept})
			}
		}
	}
	return all
}

// lookPositions checks that a message left the position of another waiter alone. The server
// granted that waiter the lock, and the waiter may go back there until its lease ends.
func (w *world) lookPositions(server *server, m *message, before []position) {
	for _, p := range before {
		until, _, ok := parseLease(p.kept)
		if _, still := server.store.hget("{"+p.name+"}:lease", p.waiterID); still || !ok || until <= server.clock.micros()/1000 {
			continue
		}
		for _, s := range w.calls {
			granted := []string{p.name}
			if s.Slots > 0 { // their queue is that of none of them
				granted = s.names
			}
			holds := func(name string) bool { return server.hasAny(name, s.values) }
			if s.waiterID == p.waiterID && slices.Contains(s.queues, p.name) && s.client != m.link.client && !s.client.dead.Load() && slices.ContainsFunc(granted, holds) {
				w.violated(ownPosition, "%v of %v took from %v (call %d) the position on %v that it has until %d", m, m.link.client, s.client, s.Call, server, until)
			}
		}
	}
}

// over reports whether a call waits no more.
func (s *session) over() bool {
	return s.held.Load() != nil || s.ended.Load()
}

// lookServed checks that no call is served that began after another one was registered.
func (w *world) lookServed(s *session) {
	if !w.plan.Fair {
		return
	}
	for before, since := range w.fair.waiting {
		if before != s && before.waitsWith(s) && !(before.reads() && s.reads()) && since < s.begun {
			w.violated(fairOrder, "%v (call %d) was served, which began at %v; %v (call %d) waits, and a majority knows of it since %v",
				s.client, s.Call, s.begun, before.client, before.Call, since)
		}
	}
}
