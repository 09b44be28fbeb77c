package main

import "github.com/quorumlock/quorumlock/internal/node/lua"

// The scripts about one of several locks, whichever is free: the slots of a semaphore.

// A choice is what any.lua and any_free.lua find out. Slots are counted from 1.
type choice struct {
	command
	slots []command
	taken []bool
	held  string // this value if it holds one of them; else a value that does, if none is free
	found bool   // there is such a value
	slot  int    // the one that this value holds; else the first that is free; 0 for none
	left  int64  // until the first of them expires, if none is free
	fence fence  // of the slot
}

// any is what any.lua finds out, of readers and other data that they hold the slot.
func (s command) any() *choice {
	c := &choice{command: s, slots: s.locks()}
	for i, one := range c.slots {
		value, taken := "", true
		if key := one.key("lock"); one.is(key, aText) {
			value, taken = one.get(key)
		}
		c.taken = append(c.taken, taken)
		if value == s.text("value") {
			c.held, c.found, c.slot = value, true, i+1
		}
	}
	return c
}

// mine reports whether the caller has one of them already.
func (c *choice) mine() bool { return c.found && c.held == c.text("value") }

// anyFree is what any_free.lua finds out.
func (s command) anyFree() *choice {
	c := s.any()
	first := int(s.number("first"))
	for n := range c.slots {
		if i := (first + n) % len(c.slots); c.slot == 0 && !c.taken[i] {
			c.slot = i + 1
		}
	}
	if c.slot == 0 {
		c.found = true
		if key := c.slots[0].key("lock"); s.is(key, aText) {
			c.held, _ = s.get(key)
		}
	}
	if c.found {
		c.left = -1
		for _, one := range c.slots {
			if lives := one.pttl(one.key("lock")); lives >= 0 && (c.left < 0 || lives < c.left) {
				c.left = lives
			}
		}
	}
	c.fence = c.slots[c.index()-1].fence()
	return c
}

// index is the slot that a reply names.
func (c *choice) index() int { return max(c.slot, 1) }

// take takes the slot.
func (c *choice) take() {
	c.fence.remember()
	c.set(c.slots[c.slot-1].key("lock"), c.text("value"), c.number("ttl"))
}

// joined is the reply when the slot was taken.
func (c *choice) joined(more ...any) any {
	reply := append([]any{"", int64(lua.Joined), int64(c.slot)}, more...)
	if c.fence.on {
		reply = append(reply, c.fence.largest, c.fence.granted)
	}
	return reply
}

func acquireAny(s command) any {
	c := s.anyFree()
	if !c.found && c.fence.refusal == 0 {
		c.take()
		return c.joined()
	}
	if ttl := s.number("flagTTL"); !c.mine() && ttl != 0 {
		s.leaveFlag(s.key("wait"), s.text("waiter"), ttl)
	}
	left := c.left
	if !c.found {
		left = c.fence.refusal
	}
	return c.fence.onto(c.held, left, int64(c.index()))
}

func acquireAnyInTurn(s command) any {
	c := s.anyFree()
	turn := s.queue(c.held)
	if !c.found && turn.first && c.fence.refusal == 0 {
		turn.pass()
		c.take()
		if next, _, found := s.first(s.key("queue")); found && next != turn.me {
			s.publish(s.wake()+":"+next, next)
		}
		return c.joined(turn.last, turn.at)
	}
	if !c.mine() {
		turn.leaveFlag()
	}
	left := int64(lua.Free)
	switch {
	case c.found:
		left = c.left
	case turn.first:
		left = c.fence.refusal
	}
	return c.fence.onto(c.held, left, int64(c.index()), turn.last, turn.at)
}

// releaseAny gives up every slot that the value holds.
func releaseAny(s command) any {
	c := s.any()
	if !c.mine() && !s.given("ticket") {
		return int64(0)
	}
	for _, one := range c.slots {
		if key := one.key("lock"); one.is(key, aText) {
			if value, found := one.get(key); found && value == s.text("value") {
				s.del(key)
			}
		}
	}
	return s.released(c.mine(), true)
}
