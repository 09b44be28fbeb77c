package fanout

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A lock may be given up before it may be taken again. Its keys are left on the nodes then,
// with the time that is still to pass as their time to live.
//
// A release and such an expiry differ only in the command. Both give up the value: an
// answer that comes after everything that may have set the key settles the node, since the
// key goes by itself, and no pending release is left. Before that the command is repeated.
// Every repeat chooses anew: it leaves the key for the time that is left by then, and
// deletes it once none is. So an acquire of unknown outcome that takes effect late sets a
// key that the next repeat cuts to the same end.
//
// An expiry of unknown outcome may find its key late, and prolong it once more, by no more
// than the whole stay. That delays others, and never lets two in.

// SetMinHold has releases leave the keys until d has passed from now, by the nodes' clocks. It is
// called when the claim was granted; 0 takes it back.
//
// From the grant until now passes on the nodes what passes here, less the drift, and they
// granted it before now. So they count d from the grant if we count Lifetime(d) from now.
func (c *Claim) SetMinHold(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.minHold, c.minHoldEnds = d, time.Time{}
	if d > 0 {
		c.minHoldEnds = time.Now().Add(quorum.Lifetime(d, c.group.drift))
	}
}

// WithinMinHold reports whether a release now leaves the keys.
func (c *Claim) WithinMinHold() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inMinHold()
}

// inMinHold reports whether the keys are not to be deleted yet. The mutex of the claim or that
// of the group is held.
func (c *Claim) inMinHold() bool { return !c.minHoldEnds.IsZero() && time.Now().Before(c.minHoldEnds) }

// releaseVerb is how the claim is released now. c.mu is held.
func (c *Claim) releaseVerb() (node.Verb, time.Duration) {
	if !c.inMinHold() {
		return node.Release, 0
	}
	// No longer than d, whatever was added for the drift: nodes may allow no more.
	return node.Expire, max(min(time.Until(c.minHoldEnds), c.minHold), time.Millisecond)
}

// expiryAnswered notes what became of an expiry that was sent to a node: for how long the key may
// live. life is that of a key with the time to live that was sent.
func (s *nodeState) expiryAnswered(a node.Answer, life time.Duration) {
	switch {
	case a.Status == node.Deleted:
		s.noteMayLive(a.At.Add(life))
	case a.Status == node.Failed && !node.NothingDone(node.Expire, a.Err):
		s.noteMayLive(a.At.Add(life).Add(life)) // see prolonged
	}
}

// LeaveQueue gives up the position in the wait queue that the release gives up otherwise, see
// [Claim.LeaveQueueOnRelease]. A key that stays, or that another process goes on with, has no release here.
// value is one that no lock has. A request of unknown outcome may take the position again on
// that node: then the node keeps it for its lease.
func (c *Claim) LeaveQueue(value string) {
	c.mu.Lock()
	left := Position{Ticket: c.flag.Line.Ticket, TTL: c.flag.Line.Lease}
	c.mu.Unlock()
	if left.Ticket > 0 {
		c.group.LeaveQueue(c.lease.Key(), value, c.timeout, left)
	}
}
