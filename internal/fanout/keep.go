package fanout

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A majority is enough to win, and often that is all that a claim gets: on the other
// nodes the release of the lock before had not arrived yet, or somebody else tried
// in the same moment. There it would stay missing, and the loss of one more node
// could be that of the majority. So these nodes are asked again.
//
// Nodes that do not answer are left alone: the next extension finds them.

// firstAsk is the pause before nodes that denied a claim are asked again. It doubles.
// A lock that is held for less costs nothing more.
const firstAsk = 5 * time.Millisecond

// RetakeUntil has the nodes that denied the claim asked again until then, unless it is
// released before. A zero time ends that for good, also if an extension is about to
// begin.
func (c *Claim) RetakeUntil(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noRetake = c.noRetake || until.IsZero(); c.noRetake {
		c.retakeUntil = time.Time{}
		c.stopAsking()
		return
	}
	c.retakeUntil = until
	for i := range c.states {
		c.askAgainIfDenied(&c.states[i])
	}
}

// askAgainIfDenied sees to it that a node that denied the claim is asked again. c.mu is held.
func (c *Claim) askAgainIfDenied(s *nodeState) {
	if !s.denied || c.askPending || c.released || !time.Now().Before(c.retakeUntil) {
		return
	}
	c.askPending = true
	if c.askTimer == nil {
		c.askPause = firstAsk
		c.askTimer = time.AfterFunc(c.askPause, c.askDenied)
	} else {
		c.askTimer.Reset(c.askPause)
	}
}

// stopAsking ends the asking. c.mu is held.
func (c *Claim) stopAsking() {
	if c.askTimer != nil {
		c.askTimer.Stop()
	}
}

// askDenied runs on the timer c.again. The keys that it sets expire with the first ones:
// who asked in time is not to be in the way later than the others.
func (c *Claim) askDenied() {
	for _, next := range c.callsToDenied() {
		c.send(next)
	}
}

// callsToDenied returns the calls that ask the nodes that denied the claim.
func (c *Claim) callsToDenied() (due []*call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.askPending = false
	c.askPause *= 2
	left := time.Until(c.retakeUntil)
	if c.released || left < time.Millisecond {
		return nil
	}
	for i := range c.states {
		if s := &c.states[i]; s.denied && s.inFlight == nil {
			due = append(due, c.setInFlight(c.backgroundCall(i, node.Acquire, left)))
		}
	}
	return due
}
