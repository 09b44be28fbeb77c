package fanout

import (
	"context"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A claim about any of several keys, the slots of a semaphore, asks every node for one of them. The
// claim is granted if a majority has granted the same slot. From then on it is about that one, and
// is like any other claim. Another slot that a node has granted is a stray: it is given back, at once
// if it is known by then, and else with the release of the claim.

// OfSlots makes the claim one about any of the slots, the first that is free from first on. It comes
// before it asks for anything.
func (c *Claim) OfSlots(s *node.Slots, first int) {
	c.entry = c.entry.AnyOf(s, first)
	if c.entry.Grant() == node.OneKey { // there is one slot
		c.chosen.Store(1)
	}
}

// Slot is the slot that the claim was granted, counted from 0.
func (c *Claim) Slot() int { return int(c.chosen.Load()) - 1 }

// Choose notes which slot a round has won. It asks the nodes that have granted another one to delete
// it, and does not wait: the release of the claim covers what fails. What is deleted is that slot and
// no other. A request that arrives late must not take away the right one, which the node may have by then.
func (c *Claim) Choose(r Result) {
	if c.chosen.Load() > 0 {
		return
	}
	slot, _ := r.mostGranted()
	drops := make([]*node.Request, len(c.states))
	found := false
	c.mu.Lock()
	c.chosen.Store(int32(slot) + 1)
	for i := range c.states {
		if s := &c.states[i]; s.held && int(s.slot) != slot {
			s.noteStray()
			drops[i] = c.drop(s)
			found = true
		}
	}
	c.mu.Unlock()
	if found {
		c.sendDrops(drops)
	}
}

// drop is the request that deletes the slot which the node has granted. c.mu is held.
func (c *Claim) drop(s *nodeState) *node.Request {
	return node.NewRequest(node.Release, c.entry.Chosen(int(s.slot)), 0, node.WaiterFlag{})
}

func (c *Claim) sendDrops(drops []*node.Request) {
	first := func([]node.Answer) bool { return true } // of a node that has granted the right one, and is not asked
	c.group.ask(context.Background(), &query{each: drops, unasked: node.Absent, enough: first, ended: func() {}}, c.callTimeout())
}

// dropStray asks node i to delete a stray that became known after Choose, unless the release does.
func (c *Claim) dropStray(i int) {
	if c.chosen.Load() == 0 {
		return
	}
	var drops []*node.Request
	c.mu.Lock()
	s := &c.states[i]
	due := s.giveBack && !c.released
	if s.giveBack = false; due {
		drops = make([]*node.Request, len(c.states))
		drops[i] = c.drop(s)
	}
	c.mu.Unlock()
	if due {
		c.sendDrops(drops)
	}
}

// noteStray notes that the node has another slot than the chosen one. That counts as denied: the node is
// asked for the right one.
func (s *nodeState) noteStray() { s.held, s.denied, s.stray = false, true, true }

// mayHaveStray reports whether a node may have another slot than the chosen one: its answer said so, or
// it has not answered the attempt. c.mu is held.
func (c *Claim) mayHaveStray() bool {
	for i := range c.states {
		s := &c.states[i]
		if s.stray || s.inFlight != nil && s.inFlight.Request.Grant() == node.AnyKey || s.outstanding > 0 || !s.unknownSince.IsZero() {
			return true
		}
	}
	return false
}

// noteSlot notes which slot a node has granted. c.mu is held.
func (c *Claim) noteSlot(last *call, a node.Answer) {
	if a.Status != node.Granted || last.Request.Grant() != node.AnyKey {
		return
	}
	s := &c.states[last.Index]
	s.slot = a.Index
	if chosen := int(c.chosen.Load()); chosen > 0 && int(a.Index) != chosen-1 {
		s.noteStray()
		s.giveBack = true
	}
}

// countSlot counts one more node that has granted a slot. Those that have granted another slot than
// most have count as denied.
func (r *Round) countSlot() {
	all := Result{calls: r.calls}
	_, most := all.mostGranted()
	granted := all.Granted()
	r.tally.No += granted - most - (granted - 1 - r.tally.Yes)
	r.tally.Yes = most
}

// Granted is how many nodes have granted a slot, whichever it is.
func (r Result) Granted() (n int) {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Status == node.Granted {
			n++
		}
	}
	return n
}

// mostGranted is the slot that most nodes have granted, and how many have.
func (r Result) mostGranted() (slot, most int) {
	for i := range r.calls {
		a, answered := r.Answer(i)
		if !answered || a.Status != node.Granted {
			continue
		}
		n := 0
		for j := range r.calls {
			if b, answered := r.Answer(j); answered && b.Status == node.Granted && b.Index == a.Index {
				n++
			}
		}
		if n > most {
			slot, most = int(a.Index), n
		}
	}
	return slot, most
}

// PreferredSlot is the slot to try first in the attempt after one that began with first, of so many
// slots: the one that is the farthest from first of those that nodes have granted. A node grants a slot
// because those before it are taken there. So what a node has granted before that one has no majority,
// and that one may be free on the other nodes, too. It is -1 if no node has granted any.
func (r Result) PreferredSlot(first, slots int) int {
	farthest := -1
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Status == node.Granted {
			farthest = max(farthest, (int(a.Index)-first+slots)%slots)
		}
	}
	if farthest < 0 {
		return -1
	}
	return (first + farthest) % slots
}
