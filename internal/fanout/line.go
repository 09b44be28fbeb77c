package fanout

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// What claims have to do with the line of those who wait; see turn.lua.

// A Place is what the nodes were told of the place of this group in the line for a lock.
type Place struct {
	Top   int64         // the largest ticket, 0 if there was none
	Lease time.Duration // for how long they keep the place after they were told last, at most
}

// Named notes that the claim was granted, and that nobody of this group stands in line any
// more with a ticket that the nodes were told: the release takes their place along.
func (c *Claim) Named(p Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.withdraw(p)
}

// withdraw makes the release of the claim one that nodes are owed which may have nothing of
// the claim: they have the place. It is owed until it was answered, or the lease is over.
// Nodes that were asked just now keep the place for a lease from now. c.mu is held.
func (c *Claim) withdraw(p Place) {
	if p.Top == 0 {
		return
	}
	c.mark.Line.Ticket = max(c.mark.Line.Ticket, p.Top)
	until := time.Now().Add(quorum.Lifetime(p.Lease, c.group.drift))
	for i := range c.seats {
		c.seats[i].touched = true
		c.seats[i].lives(until)
	}
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

// Leave asks every node to forget the place of this group in the line for a lock, unless
// its ticket is larger than p.Top. value is one that no lock has.
//
// Attempts that were given up may still be under way on some nodes, and take the
// place again when they arrive. What follows them there gives it up.
func (g *Group) Leave(key, value string, timeout time.Duration, p Place) {
	g.mu.Lock()
	var late []*Claim
	for c := g.goingBack[key]; c != nil; c = c.older {
		late = append(late, c)
	}
	g.mu.Unlock()
	for _, c := range late {
		c.forsake(p.Top)
	}
	c := g.NewClaim(key, value, timeout)
	c.withdraw(p) // nobody else has the claim yet
	c.Part()
}

// A backlog has the claims that go back to a place in line and are not settled: those of
// one key are a list, newest first. Somebody who leaves looks for those of his key.
// Thousands may be unsettled, and as many leave at once.
type backlog map[string]*Claim

func (b backlog) add(c *Claim) {
	key := c.lease.Key()
	if next := b[key]; next != nil {
		c.older, next.newer = next, c
	}
	b[key] = c
}

// remove takes out c, if it is there.
func (b backlog) remove(c *Claim) {
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
