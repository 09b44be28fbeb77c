package main

import (
	"maps"
	"slices"
	"time"
)

// A token is a fencing token that was given out.
type token struct {
	name  string
	value uint64
	at    time.Duration
}

// lookToken checks that tokens are unique, and larger than all tokens that were given out
// before the call began.
func (w *world) lookToken(s *session) {
	value := s.held.Load().Token()
	if value == 0 {
		return
	}
	for _, earlier := range w.tokens {
		switch {
		case earlier.name != s.Name:
		case earlier.value == value:
			w.violated(tokensGrow, "%v (call %d) was given token %d, which was given out before", s.client, s.Call, value)
		case earlier.at < s.begun && earlier.value > value:
			w.violated(tokensGrow, "%v (call %d) was given token %d; %d was given out before it began", s.client, s.Call, value, earlier.value)
		}
	}
	w.tokens = append(w.tokens, token{s.Name, value, w.moment()})
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
		if other != s && other.client == s.client && other.Name == s.Name && other.waits() && !other.over() {
			return false
		}
	}
	n := 0
	for _, server := range w.servers {
		micros := server.clock.micros()
		server.store.now = micros / 1000
		if ticket, there := server.store.zscore("{"+s.Name+"}:queue", s.waiterID); !there || ticket != s.ticket {
			continue
		}
		kept, _ := server.store.hget("{"+s.Name+"}:lease", s.waiterID)
		if until, _, ok := parseLease(kept); ok && until > micros/1000 {
			n++
		}
	}
	return n >= w.majority()
}

// positions are the leases of the waiters in the wait queue of a key, and of waiters that may go
// back there.
func (n *server) positions(key string) map[string]string {
	if e := n.store.find("{" + key + "}:lease"); e != nil {
		return maps.Clone(e.fields)
	}
	return nil
}

// lookPositions checks that a message left the position of another waiter alone. The server
// granted that waiter the lock, and the waiter may go back there until its lease ends.
func (w *world) lookPositions(server *server, m *message, before map[string]string) {
	if len(before) == 0 {
		return
	}
	after := server.positions(m.key())
	for _, s := range w.calls {
		kept, there := before[s.waiterID]
		if _, still := after[s.waiterID]; !there || still || s.Name != m.key() || s.client == m.link.client || s.client.dead.Load() || !slices.Contains(s.values, server.peek(s.Name)) {
			continue
		}
		if until, _, ok := parseLease(kept); ok && until > server.clock.micros()/1000 {
			w.violated(ownPosition, "%v of %v took from %v (call %d) the position on %v that it has until %d", m, m.link.client, s.client, s.Call, server, until)
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
		if before != s && before.Name == s.Name && since < s.begun {
			w.violated(fairOrder, "%v (call %d) was served, which began at %v; %v (call %d) waits, and a majority knows of it since %v",
				s.client, s.Call, s.begun, before.client, before.Call, since)
		}
	}
}
