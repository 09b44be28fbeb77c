package fanout

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// What claims have to do with the line of those who wait; see turn.lua.

// Named notes that the claim, which was granted, told the nodes of tickets up to top,
// and that nobody of this group stands in line with one any more: the release takes
// their place along.
func (c *Claim) Named(top int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mark.Line.Ticket = max(c.mark.Line.Ticket, top)
}

// Follow notes that the next attempt begins: it takes the place by itself.
func (c *Claim) Follow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.followed = true
}

// forsake makes the releases of a claim that are still to be sent give up the place
// that they would have gone back to.
func (c *Claim) forsake(top int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.back && c.mark.Line.Ticket <= top { // or it is of somebody who came meanwhile
		c.back, c.mark.Line.Ticket = false, top
	}
}

// Leave asks every node to forget the place of this group in the line for a lock, if
// its ticket is not larger than top. value is one that no lock has.
//
// Attempts that were given up may still be under way on some nodes, and take the
// place again when they arrive. What follows them there gives it up.
func (g *Group) Leave(key, value string, timeout time.Duration, top int64) {
	g.mu.Lock()
	var late []*Claim
	for _, c := range g.unsettled {
		if c.lease.Key() == key {
			late = append(late, c)
		}
	}
	g.mu.Unlock()
	for _, c := range late {
		c.forsake(top)
	}
	c := g.NewClaim(key, value, timeout)
	c.mark.Line.Ticket = top
	c.Release(context.Background())
}

// Reached is how many nodes have answered Turn, and how many have not in time. The
// others may yet do either.
func (c *Claim) Reached() (answered, failed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached, c.missed
}

// heard counts for Reached.
func (c *Claim) heard(verb node.Verb, answered bool) {
	switch {
	case verb != node.Turn:
	case answered:
		c.reached++
	default:
		c.missed++
	}
}
