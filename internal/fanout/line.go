package fanout

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// What claims have to do with the line of those who wait; see turn.lua.

// A Position is what the nodes were told of the place of this group in the line for a lock.
type Position struct {
	Ticket int64         // the largest ticket, 0 if there was none
	TTL    time.Duration // for how long they keep the place after they were told last, at most
}

// LeaveQueueOnRelease notes that the claim was granted, and that nobody of this group stands in line any
// more with a ticket that the nodes were told: the release takes their place along.
func (c *Claim) LeaveQueueOnRelease(p Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.withdrawPosition(p)
}

// withdrawPosition makes the release of the claim one that nodes are owed which may have nothing of
// the claim: they have the place. It is owed until it was answered, or the lease is over.
// Nodes that were asked just now keep the place for a lease from now. c.mu is held.
func (c *Claim) withdrawPosition(p Position) {
	if p.Ticket == 0 {
		return
	}
	c.flag.Line.Ticket = max(c.flag.Line.Ticket, p.Ticket)
	until := time.Now().Add(quorum.Lifetime(p.TTL, c.group.drift))
	for i := range c.states {
		c.states[i].maybeSet = true
		c.states[i].noteMayLive(until)
	}
}

// NextAttemptBegins notes that the next attempt begins: it takes the place by itself.
func (c *Claim) NextAttemptBegins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextAttempt = true
}

// dropPosition makes the releases of a claim that are still to be sent give up the place
// that they would have gone back to.
func (c *Claim) dropPosition(top int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requeue && c.flag.Line.Ticket <= top { // or it is of somebody who came meanwhile
		c.requeue, c.flag.Line.Ticket = false, top
	}
}

// LeaveQueue asks every node to forget the place of this group in the line for a lock, unless
// its ticket is larger than p.Top. value is one that no lock has.
//
// Attempts that were given up may still be under way on some nodes, and take the
// place again when they arrive. What follows them there gives it up.
func (g *Group) LeaveQueue(key, value string, timeout time.Duration, p Position) {
	g.mu.Lock()
	var late []*Claim
	for c := g.requeuing[key]; c != nil; c = c.older {
		late = append(late, c)
	}
	g.mu.Unlock()
	for _, c := range late {
		c.dropPosition(p.Ticket)
	}
	c := g.NewClaim(key, value, timeout)
	c.withdrawPosition(p) // nobody else has the claim yet
	c.ReleaseInBackground()
}

// A requeueIndex has the claims that go back to a place in line and are not settled: those of
// one key are a list, newest first. Somebody who leaves looks for those of his key.
// Thousands may be unsettled, and as many leave at once.
type requeueIndex map[string]*Claim

func (b requeueIndex) add(c *Claim) {
	key := c.lease.Key()
	if next := b[key]; next != nil {
		c.older, next.newer = next, c
	}
	b[key] = c
}

// remove takes out c, if it is there.
func (b requeueIndex) remove(c *Claim) {
	key := c.lease.Key()
	switch {
	case c.newer != nil:
		c.newer.older = c.older
	case b[key] != c:
		return
	case c.older != nil:
		b[key] = c.older
	default:
		delete(b, key)
	}
	if c.older != nil {
		c.older.newer = c.newer
	}
	c.older, c.newer = nil, nil
}

// Reached is how many nodes have answered Turn, and how many have not in time. The
// others may yet do either.
func (c *Claim) Reached() (answered, failed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached, c.missed
}

// countTurn counts for Reached.
func (c *Claim) countTurn(verb node.Verb, answered bool) {
	switch {
	case verb != node.Turn:
	case answered:
		c.reached++
	default:
		c.missed++
	}
}
