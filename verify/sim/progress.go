package main

import (
	"slices"
	"time"
)

// lookProgress checks that in calm weather no call waits for long for a lock that a majority
// of the servers would grant.
func (w *world) lookProgress() {
	if w.calm == 0 {
		return
	}
	if open := w.callsOpen(); open > 0 && w.moment() > w.calm+hour { // a client that is cut off has been back for long
		w.violated(progress, "after an hour of calm %d calls have not returned", open)
		return
	}
	for _, name := range w.plan.Names {
		if !w.waited(name) || w.taken(name) {
			delete(w.free, name)
			continue
		}
		since, known := w.free[name]
		if !known {
			w.free[name] = w.moment()
			w.after(w.patience(), w.lookProgress) // if nothing else happens until then
			continue
		}
		if idle := w.moment() - since; idle >= w.patience() {
			w.violated(progress, "%s was free on a majority for %v of calm, and a call waits for it", name, idle)
		} else {
			w.longest = max(w.longest, idle)
		}
	}
}

// waited reports whether a call waits for the lock.
func (w *world) waited(name string) bool {
	for _, s := range w.calls {
		if s.Name == name && !s.over() && !s.client.dead.Load() && s.client.index+1 != w.torn {
			return true
		}
	}
	return false
}

// taken reports whether so many servers have a key, or are in quarantine, that no majority
// is free.
func (w *world) taken(name string) bool {
	n := 0
	for _, server := range w.servers {
		if server.down > 0 || w.blocks(server.peek(name)) || w.plan.Guard && server.peek(quarantine) != "" {
			n++
		}
	}
	return n > w.plan.Nodes-w.majority()
}

// blocks reports whether a key keeps others out. While a client is cut off from a majority
// only that of a holder does: other clients find what it sets again and again, and set
// something themselves, and that must come to an end.
func (w *world) blocks(value string) bool {
	if w.torn == 0 || value == "" {
		return value != ""
	}
	return slices.ContainsFunc(w.holders, func(s *session) bool { return s.value() == value })
}

// patience is how long a free lock may go unnoticed: until the longest retry delay has
// passed and an attempt was made, twice, since the first may collide with another. With a wait
// queue, the positions of dead waiters have to expire first.
func (w *world) patience() time.Duration {
	p := 3*(w.plan.Retry[1]+4*w.plan.NodeTimeout) + 200*time.Millisecond
	if w.plan.Fair {
		p += 2 * w.plan.Lease
	}
	if w.plan.Real {
		p += reconnect
	}
	if w.torn > 0 { // and a lock that was forgotten
		p += w.plan.TTL
	}
	if slices.ContainsFunc(w.plan.Clients, func(c clientSpec) bool { return c.Pipelined || c.Stubborn }) {
		p += clientTimeout // with more than 64 calls in the client a node is only sent PINGs (internal/node/breaker.go)
	}
	return p
}

// reconnect is how long a pipelined client may take for a new connection: until a dial
// that hangs is given up, and the pause after one that failed (internal/pipeline).
const reconnect = 8 * time.Second

// closingBound is how long Close may take in calm weather: until what was sent is too old
// to matter, and a client that cannot be interrupted has returned.
func (w *world) closingBound() time.Duration {
	return 3*w.plan.TTL + 2*clientTimeout + 5*time.Second
}
