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

// JumpClock moves the node's wall clock by d, backward if d is negative, and no other clock.
// Use it to test what happens if an operator or NTP sets the clock of a node. Redis expires
// keys by that clock: after a jump forward they expire early, after a jump backward they live
// longer. The TIME command tells the new time.
func (n *Node) JumpClock(d time.Duration) {
	n.running.Lock()
	defer n.running.Unlock()
	n.clock.jump(n.store, d)
}

// Advance moves the node's wall clock forward by d, as JumpClock does. Use it to let keys
// expire without waiting for it, and JumpClock for a clock that is wrong. A negative d does
// nothing. The clocks of the clients do not move: if a majority was advanced, another client
// can take the lock while its holder still relies on it. In a bubble, time.Sleep moves all
// clocks.
func (n *Node) Advance(d time.Duration) {
	if d > 0 {
		n.JumpClock(d)
	}
}
