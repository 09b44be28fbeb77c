package fanout

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A majority is enough to win, and often a claim wins no more than that: on another node
// the release of the lock before had not arrived yet, or a contender was faster. Such a
// node would go on without the value, and the loss of one more node could be the loss of
// the majority. So the nodes that denied the claim are asked again.
//
// A node that does not answer is not asked again here: the next extension finds it.

// firstAskPause is the pause before nodes that denied a claim are asked again. It doubles.
// A lock that is held for less costs nothing more.
const firstAskPause = 5 * time.Millisecond

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

// askAgainIfDenied sets the timer if the node denied the claim. c.mu is held.
func (c *Claim) askAgainIfDenied(s *nodeState) {
	if !s.denied || c.askPending || c.released || !time.Now().Before(c.retakeUntil) {
		return
	}
	c.askPending = true
	if c.askTimer == nil {
		c.askPause = firstAskPause
		c.askTimer = time.AfterFunc(c.askPause, c.askDenied)
	} else {
		c.askTimer.Reset(c.askPause)
	}
}

// stopAsking stops the timer. c.mu is held.
func (c *Claim) stopAsking() {
	if c.askTimer != nil {
		c.askTimer.Stop()
	}
}

// askDenied runs on the timer c.askTimer. The keys that it sets expire together with the
// first ones: the late keys of a contender must not block others for longer.
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
