package fanout

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// What a claim does about the position of its waiter in the wait queue of a fair lock, or in those
// of several; see queue.lua. A waiter is all callers of a Locker that want the same keys.

// A Position is what was sent to the nodes about the position of a waiter in the wait queue of a
// lock.
type Position struct {
	Ticket int64         // the largest, 0 if none was sent to the nodes
	TTL    time.Duration // how long a node keeps the position after it was sent last, at most
}

// LeaveQueueOnRelease has the release give up the position p as well. It is called when the
// claim was granted, and no caller of its waiter has a ticket any more that was sent to the
// nodes.
func (c *Claim) LeaveQueueOnRelease(p Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.withdrawPosition(p)
}

// withdrawPosition has every node get the release of the claim, since every node may have the
// position, even one that has nothing else of the claim. The release is pending until it was
// answered, or until the position has expired. A node that was asked just now keeps the
// position for its TTL from now. c.mu is held.
func (c *Claim) withdrawPosition(p Position) {
	if p.Ticket == 0 {
		return
	}
	c.flag.Position.Ticket = max(c.flag.Position.Ticket, p.Ticket)
	until := time.Now().Add(quorum.Lifetime(p.TTL, c.group.drift))
	for i := range c.states {
		c.states[i].maybeSet = true
		c.states[i].noteMayLive(until)
	}
}

// LeaveQueue gives up the position at once, without the release that otherwise does so; see
// [Claim.LeaveQueueOnRelease]. It is for a key that is left on the nodes, or that another
// process takes over, and for a slot: others wait for another one. A request that is in flight may take
// the position again on a node, and is followed by one more of these. If its answer is lost the node
// keeps the position until it expires.
func (c *Claim) LeaveQueue() {
	c.mu.Lock()
	c.leftQueue = true
	id, left := c.flag.ID, Position{Ticket: c.flag.Position.Ticket, TTL: c.flag.Position.TTL}
	c.mu.Unlock()
	if left.Ticket > 0 {
		c.group.LeaveQueue(id.(string), c.entry.Queues(), c.noValue(), c.timeout, left)
	}
}

// leaveAgain follows a request that took the position on node i after LeaveQueue.
func (c *Claim) leaveAgain(i int) {
	c.mu.Lock()
	if !c.leftQueue || c.released {
		c.mu.Unlock()
		return
	}
	keys := c.entry.Queues()
	again := c.group.NewClaim(keys[0], c.noValue(), c.timeout, keys[1:]...)
	again.flag = c.flag // that claim is not shared yet
	again.states[i].maybeSet = true
	again.states[i].noteMayLive(time.Now().Add(quorum.Lifetime(c.flag.Position.TTL, c.group.drift)))
	c.mu.Unlock()
	again.RollBack()
}

// noValue is a value that no lock has.
func (c *Claim) noValue() string { return c.Value() + " left" }

// LeaveQueue asks every node to forget the position of a waiter in the wait queues for these
// keys, unless its ticket is larger than p.Ticket. value is one that no lock has.
//
// Attempts that were given up may still be in flight on some nodes, and take the
// position again when they arrive. The release that follows them there gives it up.
func (g *Group) LeaveQueue(waiterID string, keys []string, value string, timeout time.Duration, p Position) {
	g.mu.Lock()
	var late []*Claim
	for c := g.requeuing[position{waiterID, keys[0]}]; c != nil; c = c.older {
		late = append(late, c)
	}
	g.mu.Unlock()
	for _, c := range late {
		c.dropPosition(p.Ticket)
	}
	c := g.NewClaim(keys[0], value, timeout, keys[1:]...)
	c.flag.ID = waiterID // the claim is not shared yet
	c.withdrawPosition(p)
	c.ReleaseInBackground()
}

// dropPosition makes the releases that are still to be sent give up the position instead of
// putting it back into the wait queue.
func (c *Claim) dropPosition(ticket int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requeue && c.flag.Position.Ticket <= ticket { // a larger one is of a waiter that came meanwhile
		c.requeue, c.flag.Position.Ticket = false, ticket
	}
}

// NextAttemptBegins notes that the next attempt begins. It tells the nodes its position
// itself, so repeated releases of this claim do not put the position back any more.
func (c *Claim) NextAttemptBegins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextAttempt = true
}

// Reached is how many nodes have answered AcquireInTurn, and how many have not in time. The
// others may yet do either.
func (c *Claim) Reached() (answered, failed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached, c.missed
}

// countTurn counts for Reached. c.mu is held.
func (c *Claim) countTurn(verb node.Verb, answered bool) {
	switch {
	case verb != node.AcquireInTurn:
	case answered:
		c.reached++
	default:
		c.missed++
	}
}
