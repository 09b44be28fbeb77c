package redlocktest

import (
	"context"
	"fmt"
	"sync"
)

// Stats has counters of what a node did and how often each fault fired, since the node was
// made. Stop and Start do not reset them.
type Stats struct {
	// Commands is the number of commands that were executed. Commands of a greeting (see
	// [Node.FailWith]) and commands inside a script do not count.
	Commands int
	// Frozen is the number of commands that reached a frozen node. Of the commands on one
	// connection only the first counts; the next ones count when the first is done.
	Frozen int
	// Delayed is the number of commands that Delay delayed.
	Delayed int
	// DroppedRequests is the number of commands that DropRequests dropped.
	DroppedRequests int
	// DroppedReplies is the number of answers that DropReplies dropped. An answer above 4 KiB
	// counts several times.
	DroppedReplies int
	// Failed is the number of commands that FailWith or FailCommand answered.
	Failed int
	// ReadOnly is the number of commands that Demote refused. A script with a refused command
	// counts in Commands as well.
	ReadOnly int
	// ClosedIdle is the number of connections that CloseIdle closed.
	ClosedIdle int
	// DelayedDials is the number of connections that DelayDials delayed.
	DelayedDials int
	// Refused is the number of calls of Dial that a stopped node refused. A client that dials a
	// TCP address itself is not counted.
	Refused int
}

// counters are the Stats of a node, and a channel for the calls of Await.
type counters struct {
	mu      sync.Mutex // protects what follows
	stats   Stats
	waiting int
	changed chan struct{} // closed and replaced at each change while an Await waits
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

// Await returns nil when reached returns true for the counters. If ctx ends first, the error
// matches ctx.Err() and shows the counters.
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
