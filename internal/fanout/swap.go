package fanout

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A claim may begin with what another one has: its value takes the place of the other's on
// every node that has that.

// Value is what the keys of the claim hold. Whoever knows it can release the lock.
func (c *Claim) Value() string { return c.lease.Value() }

// Replace names the value in whose place that of the claim is put. It comes before Swap.
func (c *Claim) Replace(former string) { c.lease = c.lease.Instead(former) }

// Fair has the release notify the first in the wait queue, as one after Turn does. lease is
// how long a position is kept.
func (c *Claim) Fair(lease time.Duration) { c.flag.Line.Lease = lease }

// Swap asks every node to put the value in the place of the former one, for ttl from now.
// It may be repeated: a node that has the value already says yes. What became of a swap
// that was not answered is as unknown as that of an acquire.
func (c *Claim) Swap(ctx context.Context, ttl time.Duration) *Round {
	return c.begin(newRound(ctx, node.Swap, c, ttl, c.callTimeout()))
}
