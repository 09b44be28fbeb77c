package fanout

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// What the releaseQueue of a node asks of a claim for which it repeats a release, and
// what it tells the claim.

// needsRelease reports whether node i still needs a release, which is then to be sent
// now. If no key can live there any more, needsRelease settles the node instead.
func (c *Claim) needsRelease(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.states[i]
	switch {
	case s.settled: // abandoned
		return false
	case s.certainlyExpired(c.group.nodes[i]):
		c.settle(i)
		return false
	}
	s.sentWhileOutstanding = s.outstanding > 0
	return true
}

// releaseRequest builds the release that is repeated. Like the first one it puts the
// position back into the wait queue, until the next attempt has begun: that one tells the
// nodes its position itself.
func (c *Claim) releaseRequest() *node.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requeue && c.nextAttempt {
		return node.NewRequest(node.Release, c.asked(node.Release), 0, node.WaiterFlag{})
	}
	request := new(node.Request)
	verb, ttl := c.releaseVerb()
	c.fillRequest(request, verb, c.asked(verb), ttl)
	return request
}

// releaseAnswered takes in the answer to a release that was repeated on node i, and
// reports whether that settles the node. The release was not sent before sent.
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
	if !s.settled { // it was not abandoned
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
