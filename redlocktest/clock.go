package redlocktest

import (
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// clock is the node's wall clock: the real one plus an offset. In a bubble the real one is that
// of the bubble. miniredis can be given a time but not an offset, so it gets the time before
// each command and each access to its keys.
type clock struct {
	mu     sync.Mutex // protects offset, and the order in which the store gets times
	offset time.Duration
}

// follow sets the time of the store.
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
		// Redis stores the time of expiry, miniredis the remaining time to live. With the
		// clock set back by d a key has d more to live.
		store.FastForward(d)
	}
	store.DB(0)
}

// JumpClock moves the node's wall clock by d, backward if d is negative. Redis expires keys by
// that clock. A jump forward expires keys early. A jump backward lets them live longer. TIME
// follows.
func (n *Node) JumpClock(d time.Duration) {
	n.gate.Lock()
	defer n.gate.Unlock()
	n.clock.jump(n.store, d)
}

// Advance makes the time d pass on the node at once: keys expire, and TIME follows. For the node
// that is a jump of its clock forward. A negative d does nothing. In a bubble, time.Sleep makes
// time pass for the clients as well.
func (n *Node) Advance(d time.Duration) {
	if d > 0 {
		n.JumpClock(d)
	}
}
