package main

import (
	"slices"
	"strings"
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
	free := make(map[string]time.Duration)
	for _, s := range w.calls {
		if !w.waiting(s) {
			continue
		}
		wants := w.wants(s)
		if free[wants.String()] > 0 || w.taken(wants) {
			continue
		}
		since, known := w.free[wants.String()]
		if !known {
			since = w.moment()
			w.after(w.patience(), w.lookProgress) // if nothing else happens until then
		}
		free[wants.String()] = since
		if idle := w.moment() - since; idle >= w.patience() {
			w.violated(progress, "%v was free on a majority for %v of calm, and a call waits for it", wants, idle)
		} else {
			w.longest = max(w.longest, idle)
		}
	}
	w.free = free
}

// waiting reports whether a call waits for its locks.
func (w *world) waiting(s *session) bool {
	return !s.over() && !s.client.dead.Load() && s.client.index+1 != w.torn
}

// A want is what has to be free for a call: its locks, or nothing more of them than readers have.
type want struct {
	names []string
	reads bool
	any   bool // one of them, a slot
}

func (v want) String() string {
	if v.any {
		return "one of " + strings.Join(v.names, ", ")
	}
	if v.reads {
		return strings.Join(v.names, ", ") + " for reading"
	}
	return strings.Join(v.names, ", ")
}

// wants is that of one call. With a wait queue a call may come behind a set that waits for another lock, so
// all have to be free that such sets want. A reader may have to wait for a writer that waits: then what
// the writer wants has to be free.
func (w *world) wants(s *session) want {
	if s.Slots > 0 {
		return w.wantsSlot(s)
	}
	v := want{names: s.names, reads: s.reads()}
	for again := w.sets(); again; {
		again = false
		for _, other := range w.calls {
			meets := func(name string) bool { return slices.Contains(v.names, name) }
			if !w.waiting(other) || other.Slots > 0 || !slices.ContainsFunc(other.names, meets) {
				continue
			}
			if v.reads && !other.reads() {
				v.reads, again = false, true
			}
			if w.plan.Fair && slices.ContainsFunc(other.names, func(name string) bool { return !meets(name) }) {
				v.names = slices.Compact(slices.Sorted(slices.Values(slices.Concat(v.names, other.names))))
				again = true
			}
		}
	}
	return v
}

// wantsSlot is that of a call for a slot. With a wait queue it may come behind one that has fewer slots.
func (w *world) wantsSlot(s *session) want {
	slots := s.Slots
	for _, other := range w.calls {
		if w.plan.Fair && other.Slots > 0 && w.waiting(other) && other.waitsWith(s) {
			slots = min(slots, other.Slots)
		}
	}
	return want{names: s.names[:slots], any: true}
}

// sets reports whether the schedule has more than locks of one name and one holder.
func (w *world) sets() bool { return w.plan.Sets || w.plan.Readers }

// taken reports whether so many servers have keys, or are in quarantine, that no majority
// is free.
func (w *world) taken(v want) bool {
	if v.any {
		return !slices.ContainsFunc(v.names, func(name string) bool { return !w.taken(want{names: []string{name}}) })
	}
	n := 0
	for _, server := range w.servers {
		keeps := func(name string) bool {
			return slices.ContainsFunc(server.holders(name), func(value string) bool { return w.blocks(value) && !(v.reads && server.peek(name) == "") })
		}
		if server.down > 0 || slices.ContainsFunc(v.names, keeps) || w.plan.Guard && server.peek(quarantine) != "" {
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
	if w.plan.Readers { // and the mark of a writer that has given up
		p += w.plan.Retry[1] + 3*w.plan.NodeTimeout
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
