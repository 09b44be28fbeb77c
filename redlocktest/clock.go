package redlocktest

import (
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// clock is the node's wall clock: the real one (in a bubble the bubble's), plus
// an offset. miniredis can be told a time but not an offset, so it is told anew
// before each command and each look at its keys.
type clock struct {
	mu     sync.Mutex // protects offset, and the order in which the store is told
	offset time.Duration
}

// follow tells the store what time it is.
func (c *clock) follow(store *miniredis.Miniredis) {
	c.mu.Lock()
	defer c.mu.Unlock()
	store.SetTime(time.Now().Add(c.offset))
}

// jump moves the clock by d and expires what is due.
func (c *clock) jump(store *miniredis.Miniredis, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	store.SetTime(time.Now().Add(c.offset))
	store.DB(0) // accounts for the time until now
	c.offset += d
	store.SetTime(time.Now().Add(c.offset))
	if d < 0 {
		// Redis stores when a key expires, miniredis how long it has still to
		// live: with the clock back by d that is d more.
		store.FastForward(d)
	}
	store.DB(0)
}

// JumpClock makes the node's wall clock jump. Redis expires keys by that clock:
// a jump forward expires keys early, a jump backward lets them live longer, and
// TIME follows.
func (n *Node) JumpClock(d time.Duration) {
	n.gate.Lock()
	defer n.gate.Unlock()
	n.clock.jump(n.store, d)
}

// Advance lets d pass on the node at once: keys expire, and TIME follows. To the
// node that is a jump of its clock forward; a negative d does nothing. In a
// bubble, time.Sleep lets time pass for everybody.
func (n *Node) Advance(d time.Duration) {
	if d > 0 {
		n.JumpClock(d)
	}
}
