package fanout

import (
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// What debts tells a claim about the releases that it sends on its behalf, and
// what others ask about how far the claim is settled.

// settle notes that the value is gone from node i for good.
func (c *Claim) settle(i int) {
	s := &c.states[i]
	s.settled, s.pendingRelease = true, false
	if c.unsettled--; c.unsettled == 0 {
		c.group.untrack(c)
	}
	s.closeGone() // last: who waited for it finds the claim among those that are gone
}

// closeGone notes that there is nothing more to hope for: the seat is settled, or left
// to debts.
func (s *nodeState) closeGone() {
	if s.gone != nil {
		close(s.gone)
		s.gone = nil
	}
}

// A Leftover is what a released claim has left on one node.
type Leftover struct {
	claim *Claim
	node  int
}

// Gone returns a channel that is closed when it is gone, or if the node does not
// answer in time: after twice the time that a node gets, at the latest.
func (r Leftover) Gone() <-chan struct{} {
	c := r.claim
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.states[r.node]
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

// Leftovers reports whether released claims of this group kept a round of the claim
// from being won: nodes that still carried their values denied it, and no majority
// denied it or failed for another reason. It returns what is not gone yet, and what
// the claim itself leaves when it is released.
//
// A majority is enough to be rid of a lock, so two releases in a row may have
// left out different nodes, together a majority.
func (c *Claim) Leftovers(r Result) (remains []Leftover, found bool) {
	g := c.group
	ours := 0
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range r.Nodes {
		a, answered := r.Answer(i)
		switch {
		case !answered:
		case a.Status == node.Granted:
			remains = append(remains, Leftover{c, i})
		case a.Status != node.Taken:
		case g.unsettled[a.Holder] != nil && !g.unsettled[a.Holder].inMinHold():
			ours++
			remains = append(remains, Leftover{g.unsettled[a.Holder], i})
		case g.settledLately(a.Holder): // gone since the node answered
			ours++
		}
	}
	return remains, r.Outcome == quorum.Lost && ours > 0 && r.Nodes-r.Failed-(r.No-ours) >= g.Majority()
}

// IsLeftover reports whether a value that a node carried is one of this group that was
// released, or given up, and not gone there yet when the node was asked. One that is to
// stay for a while is not: it is in everybody's way.
func (g *Group) IsLeftover(value string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.unsettled[value]
	return c != nil && !c.inMinHold() || g.settledLately(value)
}

// settledLately reports whether a value is one of the last that are gone. An empty one is
// somebody else's. g.mu is held.
func (g *Group) settledLately(value string) bool {
	return value != "" && slices.Contains(g.lastSettled[:], value)
}

// needsRelease reports whether node i still needs a release, and settles it if no key
// can live there any more. The release is to be sent now.
func (c *Claim) needsRelease(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.states[i]
	switch {
	case s.settled: // forgiven
		return false
	case s.certainlyExpired(c.group.nodes[i]):
		c.settle(i)
		return false
	}
	s.sentWhileOutstanding = s.outstanding > 0
	return true
}

// releaseRequest builds the release for debts. It goes back into the line as the first one did,
// until the next attempt says itself where it stands.
func (c *Claim) releaseRequest() *node.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requeue && c.nextAttempt {
		return node.NewRequest(node.Release, c.lease, 0, node.Mark{})
	}
	request := new(node.Request)
	verb, ttl := c.releaseVerb()
	c.fillRequest(request, verb, c.lease, ttl)
	return request
}

// releaseAnswered takes in the answer to a release that debts sent to node i, not before then, and
// reports whether that settles the node.
func (c *Claim) releaseAnswered(i int, request *node.Request, sent time.Time, a node.Answer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.states[i]
	if request.Verb == node.Expire {
		s.expiryAnswered(a, quorum.Lifetime(request.TTL, c.group.drift))
	}
	if a = s.releaseAnswered(a); a.Status == node.Failed {
		return false
	}
	s.held = false
	if !s.settled { // it was not forgiven
		if s.sentWhileOutstanding || !s.provesRelease(c.group.nodes[i], sent) {
			return false
		}
		c.settle(i)
	}
	return true
}

// unknownFor is how long an answered release on node i will still prove nothing, 0 if
// that is not known.
func (c *Claim) unknownFor(i int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[i].unknownFor(c.group.nodes[i])
}

// abandon has releases sent once at most from now on: what may be left was reported.
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

// OutcomeUnknown reports whether it is unknown what some node did: it may set the key, or
// prolong it, later than what was answered accounts for.
func (c *Claim) OutcomeUnknown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.states {
		if s := &c.states[i]; s.inFlight != nil || s.outstanding > 0 || s.extendUnknown || !s.unknownSince.IsZero() {
			return true
		}
	}
	return false
}

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
