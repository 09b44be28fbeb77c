package main

import (
	"slices"
	"strings"
)

// Of semaphores. That no slot has two holders, and that a permit is on a majority of the servers, is what the
// rules of locks say: from its grant on a call holds the lock on its slot. With what is checked here no more
// callers hold permits than there are slots.
const (
	oneSlot = "an attempt takes one slot of a server"
	ownSlot = "a permit is for one of the slots of its caller"
	noStray = "a slot that only some servers granted is given back at once"
)

// lookSlot notes which slot a call was granted.
func (w *world) lookSlot(s *session) {
	if s.Slots == 0 {
		return
	}
	if s.slot < 0 || s.slot >= s.Slots {
		w.violated(ownSlot, "%v (call %d) was granted slot %d of %s, and asked for one of %d", s.client, s.Call, s.slot, s.Name, s.Slots)
	}
	s.names = slotNames(s.Name, s.slot+1)[s.slot:]
	w.did["a permit was granted"]++
	for _, other := range w.holders {
		if other.Slots > 0 && other != s {
			w.did["permits were held together"]++
			break
		}
	}
	for _, server := range w.servers {
		if server.hasStray(s) {
			w.did["a server granted another slot than the majority"]++
		}
	}
	if w.rushing && !w.plan.Real { // nothing is lost then, and all is fast
		w.after(w.plan.NodeTimeout/2, func() { w.lookStrays(s) })
	}
}

// lookStrays checks that the servers which granted another slot have it back while the permit is held.
func (w *world) lookStrays(s *session) {
	for _, server := range w.servers {
		if s.certain() && server.down == 0 && server.hasStray(s) {
			w.violated(noStray, "%v (call %d) holds %s, and %v still has another slot of it", s.client, s.Call, s.names[0], server)
		}
	}
}

// hasStray reports whether a server has another slot of a call than the one that it was granted.
func (n *server) hasStray(s *session) bool {
	return slices.ContainsFunc(slotNames(s.Name, s.Slots), func(name string) bool { return name != s.names[0] && n.hasAny(name, s.values) })
}

// hasAny reports whether one of the values holds a lock.
func (n *server) hasAny(name string, values []string) bool {
	return slices.ContainsFunc(values, func(value string) bool { return n.has(name, value) })
}

// lookTakenSlot checks that an attempt to take one of several locks has one of them afterwards at most, unless
// it had two before: one that is to be given back, and the right one.
func (w *world) lookTakenSlot(server *server, m *message, before []tenure) {
	value := m.value()
	if !strings.HasPrefix(m.verb(), "acquire any") || value == "" {
		return
	}
	had, taken := 0, 0
	for _, t := range before {
		switch {
		case t.has(value):
			had++
		case server.has(t.name, value):
			taken++
		}
	}
	if had > 0 {
		w.did["an attempt that came again found its slot"]++
	}
	if taken > 1 || taken == 1 && had > 0 {
		w.violated(oneSlot, "%v of %v has %d slots on %v, and had %d before", m, m.link.client, had+taken, server, had)
	}
}
