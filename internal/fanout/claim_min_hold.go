package fanout

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A lock with a minimum hold time may be given up before it may be taken again. Its keys
// are then left on the nodes, and the rest of that time becomes their time to live.
//
// A release and such an expiry differ only in the command. Both give up the value: an
// answer that comes after everything that may have set the key settles the node, since the
// key expires without our help, and no pending release is left. Before that the command is
// repeated. Every repeat chooses anew: it leaves the key for the time that is left by then,
// and deletes it once none is. So an acquire of unknown outcome that takes effect late sets a
// key that the next repeat cuts to the same end.
//
// An expiry of unknown outcome may find its key late, and prolong it once more, by no more
// than the whole minimum. That delays others, and never lets two in.

// SetMinHold has releases leave the keys until d has passed from now, by the nodes' clocks. It
// is called when the claim was granted; 0 takes it back.
//
// The nodes granted the claim before now. The time since then passes on the nodes as it
// passes here, less the drift. So they count d from the grant if we count Lifetime(d) from now.
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

// inMinHold is WithinMinHold with the mutex of the claim, or that of the group, held.
func (c *Claim) inMinHold() bool { return !c.minHoldEnds.IsZero() && time.Now().Before(c.minHoldEnds) }

// releaseVerb returns the command that releases the claim now, and the TTL that it sets.
// c.mu is held.
func (c *Claim) releaseVerb() (node.Verb, time.Duration) {
	if !c.inMinHold() {
		return node.Release, 0
	}
	// No longer than d, whatever was added for the drift: nodes may allow no more.
	return node.Expire, max(min(time.Until(c.minHoldEnds), c.minHold), time.Millisecond)
}
