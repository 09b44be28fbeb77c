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

// Keep has the nodes that denied the claim asked again until then, unless it is
// released before. A zero time ends that for good, also if an extension is about to
// begin.
func (c *Claim) Keep(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over = c.over || until.IsZero(); c.over {
		c.retake = time.Time{}
		c.rest()
		return
	}
	c.retake = until
	for i := range c.seats {
		c.missing(&c.seats[i])
	}
}

// missing sees to it that a node that denied the claim is asked again. c.mu is held.
func (c *Claim) missing(s *seat) {
	if !s.denied || c.asking || c.released || !time.Now().Before(c.retake) {
		return
	}
	c.asking = true
	if c.again == nil {
		c.pause = firstAsk
		c.again = time.AfterFunc(c.pause, c.ask)
	} else {
		c.again.Reset(c.pause)
	}
}

// rest ends the asking. c.mu is held.
func (c *Claim) rest() {
	if c.again != nil {
		c.again.Stop()
	}
}

// ask runs on the timer c.again. The keys that it sets expire with the first ones:
// who asked in time is not to be in the way later than the others.
func (c *Claim) ask() {
	for _, next := range c.unasked() {
		c.send(next)
	}
}

// unasked returns the calls that ask the nodes that denied the claim.
func (c *Claim) unasked() (due []*call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking = false
	c.pause *= 2
	left := time.Until(c.retake)
	if c.released || left < time.Millisecond {
		return nil
	}
	for i := range c.seats {
		if s := &c.seats[i]; s.denied && s.flying == nil {
			due = append(due, c.fly(c.background(i, node.Acquire, left)))
		}
	}
	return due
}
