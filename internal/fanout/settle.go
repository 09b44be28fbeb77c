package fanout

import "github.com/quorumlock/quorumlock/internal/node"

// What debts tells a claim about the releases that it sends on its behalf, and
// what others ask about how far the claim is settled.

// settle notes that the value is gone from node i for good.
func (c *Claim) settle(i int) {
	if !c.seats[i].owing {
		c.clear()
	}
	c.seats[i].settled, c.seats[i].owing = true, false
	if c.open--; c.open == 0 {
		c.group.paid(c)
	}
}

// clear notes that there is no more to hope for from one node: it is settled, or
// left to debts.
func (c *Claim) clear() {
	if c.hopeful--; c.hopeful == 0 && c.cleared != nil {
		close(c.cleared)
		c.cleared = nil
	}
}

// Cleared returns a channel that is closed when a released claim is gone from
// every node that answers in time: after twice the time that a node gets, at the
// latest.
func (c *Claim) Cleared() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.hopeful == 0:
		return closed
	case c.cleared == nil:
		c.cleared = make(chan struct{})
	}
	return c.cleared
}

var closed = make(chan struct{})

func init() { close(closed) }

// owes reports whether node i still needs a release, and settles it if no key
// can live there any more. The release is to be sent now.
func (c *Claim) owes(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.seats[i]
	if s.expired(c.group.nodes[i]) {
		c.settle(i)
		return false
	}
	s.blind = s.stuck > 0
	return true
}

// repeat builds the release for debts. By then the attempts that followed have
// said who stands in line.
func (c *Claim) repeat() node.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.back {
		return node.NewRequest(node.Release, c.lease, 0, node.Mark{})
	}
	return c.request(node.Release, 0)
}

// paid takes in the answer to a release that debts sent to node i, and reports
// whether that settles the node.
func (c *Claim) paid(i int, a node.Answer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.seats[i]
	if a = s.release(a); a.Status == node.Failed {
		return false
	}
	s.held = false
	if s.blind || !s.clean(c.group.nodes[i]) {
		return false
	}
	c.settle(i)
	return true
}

// abandon gives up node i: what may be left there was reported.
func (c *Claim) abandon(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle(i)
}

// Doubtful reports whether it is unknown what some node did: it may set the key
// later than its first TTL accounts for.
func (c *Claim) Doubtful() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.seats {
		if s := &c.seats[i]; s.flying != nil || s.stuck > 0 || !s.doubt.IsZero() {
			return true
		}
	}
	return false
}

func (c *Claim) unsettled() (nodes []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.seats {
		if !c.seats[i].settled {
			nodes = append(nodes, i)
		}
	}
	return nodes
}
