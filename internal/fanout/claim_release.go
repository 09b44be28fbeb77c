package fanout

import (
	"context"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// How a claim is given up, and when it is settled: gone from every node for good.

// Release asks every node to delete the key, and goes on until it is gone
// everywhere. It notifies the waiters. It may be repeated. Keys within the minimum hold
// time expire instead, see [Claim.SetMinHold].
func (c *Claim) Release(ctx context.Context) *Round { return c.sendAll(c.releaseRound(ctx)) }

// ReleaseInBackground is Release for a caller that does not wait for the result.
func (c *Claim) ReleaseInBackground() {
	r := c.releaseRound(context.Background())
	r.needsAll = false
	c.sendAll(r)
}

func (c *Claim) releaseRound(ctx context.Context) *Round {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announce = true
	c.beginRelease()
	verb, ttl := c.releaseVerb()
	r := newRound(ctx, verb, c, ttl, c.callTimeout())
	c.enqueue(r)
	return r
}

// RollBack is Release for an attempt that failed. It leaves out nodes where nothing was
// sent that may have set the key. It has no result. It does not notify waiters:
// contenders that roll back would otherwise wake each other for ever.
func (c *Claim) RollBack() { c.rollBack(false) }

// RollBackForRetry is RollBack for an attempt that another attempt follows. A node that
// granted the key puts the waiter back into the wait queue.
func (c *Claim) RollBackForRetry() { c.rollBack(true) }

func (c *Claim) rollBack(requeue bool) {
	due := make([]*call, 0, 8)
	c.mu.Lock()
	c.requeue = requeue
	c.beginRelease()
	for i := range c.states {
		if s := &c.states[i]; s.inFlight == nil && !s.settled && !s.pendingRelease {
			due = append(due, c.setInFlight(c.nextCall(i, nil)))
		}
	}
	c.mu.Unlock()
	for _, next := range due {
		c.send(next)
	}
}

// beginRelease notes that the claim is given up. c.mu is held.
func (c *Claim) beginRelease() {
	if !c.released {
		c.released = true
		c.unsettled = len(c.states)
		c.stopAsking()
		c.group.track(c)
	}
}

// ExpectRelease notes that Release or RollBack follows soon: Settle waits for it.
func (c *Claim) ExpectRelease() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.released {
		c.group.track(c)
	}
}

// Released reports whether Release or RollBack has begun.
func (c *Claim) Released() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.released
}

// settle notes that the value is gone from node i for good. c.mu is held.
func (c *Claim) settle(i int) {
	s := &c.states[i]
	s.settled, s.pendingRelease = true, false
	if c.unsettled--; c.unsettled == 0 {
		c.group.untrack(c)
	}
	s.closeGone() // last: what waits on that channel finds the claim among those that were settled
}

// abandon ends the repeats of releases: each is sent once at most from now on. Settle
// reports the keys that may be left.
func (c *Claim) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandoned.Store(true)
	for i := range c.states {
		if c.states[i].pendingRelease {
			c.settle(i)
		}
	}
}

// unsettledNodes returns the nodes that may still carry the value.
func (c *Claim) unsettledNodes() (nodes []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.states {
		if !c.states[i].settled {
			nodes = append(nodes, i)
		}
	}
	return nodes
}

// A Leftover is the value of a released claim on one node.
type Leftover struct {
	claim *Claim
	node  int
}

// Gone returns a channel that is closed when the leftover is gone. If the node does not
// answer in time the channel is closed after twice the node timeout, at the latest, as it is while
// nodes are slow (Group.pace).
func (l Leftover) Gone() <-chan struct{} {
	c := l.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.states[l.node]
	switch {
	case s.settled || s.pendingRelease:
		return closed
	case s.gone == nil:
		s.gone = make(chan struct{})
	}
	return s.gone
}

var closed = make(chan struct{})

func init() { close(closed) }

// Leftovers reports whether leftovers of this group kept a round of the claim
// from being won: nodes that still carried their values denied it, and no majority
// denied it or failed for another reason. It returns the leftovers that are not gone yet.
// They include those of the claim itself, which appear when it is released.
//
// A majority of deletions is enough for a lock to be free, so two releases in a row may
// have left out different nodes, together a majority.
func (c *Claim) Leftovers(r Result) (leftovers []Leftover, found bool) {
	g := c.group
	ours := 0
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range r.Nodes {
		a, answered := r.Answer(i)
		switch {
		case !answered:
		case a.Status == node.Granted:
			leftovers = append(leftovers, Leftover{c, i})
		case a.Status != node.Taken:
		default:
			leftover := true // of all values that hold one of the keys
			for _, held := range append(a.Others(), node.Holding{Holder: a.Holder}) {
				holder := onlyHolder(held.Holder)
				switch was := g.unsettled[holder]; {
				case was != nil && !was.inMinHold():
					leftovers = append(leftovers, Leftover{was, i})
				case !g.settledLately(holder): // or it is gone since the node answered
					leftover = false
				}
			}
			if leftover {
				ours++
			}
		}
	}
	return leftovers, r.Outcome == quorum.Lost && ours > 0 && r.Nodes-r.Failed-(r.No-ours) >= g.Majority()
}
