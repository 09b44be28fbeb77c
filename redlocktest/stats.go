package redlocktest

import (
	"context"
	"fmt"
	"sync"
)

// Stats counts what a node did and how often each fault fired, since the node
// was made: also over stops and starts.
type Stats struct {
	// Commands is the number of commands that were executed, without those of
	// the handshake (see [Node.FailWith]) and without those inside a script.
	Commands int
	// Frozen is the number of commands that met a frozen node. Those behind
	// them on the same connection are counted when it is their turn.
	Frozen int
	// Delayed is the number of commands that were made to wait by Delay.
	Delayed int
	// DroppedRequests is the number of commands that vanished.
	DroppedRequests int
	// DroppedReplies is the number of answers that vanished. An answer above
	// 4 KiB counts once per piece.
	DroppedReplies int
	// Failed is the number of commands that were answered by FailWith or FailCommand.
	Failed int
	// ReadOnly is the number of commands that were refused since the node was
	// demoted. A script counts among Commands, also if what it called was refused.
	ReadOnly int
	// ClosedIdle is the number of connections that CloseIdle closed.
	ClosedIdle int
	// DelayedDials is the number of connections that DelayDials made wait.
	DelayedDials int
	// Refused is the number of connections that Dial was refused. A client that
	// dials a TCP address by itself is refused uncounted.
	Refused int
}

// counters are the Stats of a node and who waits for them.
type counters struct {
	mu      sync.Mutex // protects what follows
	stats   Stats
	waiting int
	changed chan struct{} // closed and replaced at each change while someone waits
}

func (n *Node) count(add func(*Stats)) {
	c := &n.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.stats)
	if c.waiting > 0 {
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// Stats returns the counters.
func (n *Node) Stats() Stats {
	n.counters.mu.Lock()
	defer n.counters.mu.Unlock()
	return n.counters.stats
}

// Await returns when reached is true of the counters, or with an error that
// matches ctx.Err() and shows them:
//
//	err := node.Await(ctx, func(s redlocktest.Stats) bool { return s.Frozen >= 2 })
//
// reached must not call the node.
func (n *Node) Await(ctx context.Context, reached func(Stats) bool) error {
	c := &n.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting++
	defer func() { c.waiting-- }()
	for !reached(c.stats) {
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		c.mu.Lock()
		if ctx.Err() != nil && !reached(c.stats) {
			return fmt.Errorf("redlocktest: await on %s: %w (%+v)", n.Addr(), ctx.Err(), c.stats)
		}
	}
	return nil
}
