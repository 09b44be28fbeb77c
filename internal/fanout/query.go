package fanout

import (
	"context"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A query is a question to all nodes, or to some, without a claim. There is nothing to
// settle afterwards, whatever its outcome.
type query struct {
	request *node.Request   // to every node; or else
	each    []*node.Request // to each, nil for none
	to      []bool          // which nodes are asked at all; nil for all
	unasked node.Status     // the answer of a node that is not asked
	enough  func([]node.Answer) bool
	every   func(i int, a node.Answer) // gets each answer of a node that is asked, if not nil
	ended   func()

	deadline node.Deadline
	calls    []node.Call

	mu      sync.Mutex // protects the rest until decided is closed
	answers []node.Answer
	open    int
	done    bool
	decided chan struct{}
}

// Inspect asks every node for the holder of key. It returns as soon as enough says that the
// answers so far are enough, or all nodes answered or failed. The answers are in the order of
// the nodes, with errNotWaitedFor for those that have not answered. If flagTTL is not 0 it
// leaves a waiter flag, so that a release within flagTTL is published. If ctx ends first
// Inspect returns nil. When the last node has answered or was given up it calls ended.
func (g *Group) Inspect(ctx context.Context, key string, timeout, flagTTL time.Duration, enough func([]node.Answer) bool, ended func()) []node.Answer {
	request := node.NewRequest(node.Inspect, node.NewEntry(key, ""), 0, node.WaiterFlag{TTL: flagTTL})
	return g.ask(ctx, &query{request: request, enough: enough, ended: ended}, timeout)
}

// Delete asks every node to delete key where it has the value that values names for that node,
// and to notify the waiters. A node with an empty value is not asked: its answer is Absent.
// Delete returns when all have answered or failed, or nil if ctx ends first: a command that was
// sent may still be carried out then. It may be repeated: a value is that of a single attempt,
// so no later attempt is touched.
func (g *Group) Delete(ctx context.Context, key string, values []string, timeout time.Duration, ended func()) []node.Answer {
	// No waiter leaves flags with this id. So the release notifies every waiter, those of this
	// process, too.
	flag := node.WaiterFlag{ID: newWaiterID(), Position: node.QueuePosition{TTL: timeout}}
	requests := make([]*node.Request, len(g.nodes))
	for i, value := range values {
		if value != "" {
			requests[i] = node.NewRequest(node.Release, g.scripts.NewEntry(key, value), 0, flag)
		}
	}
	all := func([]node.Answer) bool { return false }
	return g.ask(ctx, &query{each: requests, unasked: node.Absent, enough: all, ended: ended}, timeout)
}

// ask sends the requests of q.
func (g *Group) ask(ctx context.Context, q *query, timeout time.Duration) []node.Answer {
	q.answers, q.open, q.decided = make([]node.Answer, len(g.nodes)), len(g.nodes), make(chan struct{})
	for i := range q.answers {
		q.answers[i].Err = errNotWaitedFor
	}
	q.deadline = node.MakeDeadline(ctx, timeout)
	q.calls = make([]node.Call, len(g.nodes))
	for i, n := range g.nodes {
		c := &q.calls[i]
		*c = node.Call{Request: q.request, Deadline: &q.deadline, Receiver: q, Index: i}
		if q.each != nil {
			c.Request = q.each[i]
		}
		if q.to != nil && !q.to[i] {
			c.Request = nil
		}
		if c.Request == nil {
			q.Answer(c, node.Answer{Status: q.unasked})
		} else if err := n.Start(c); err != nil {
			q.Answer(c, node.Answer{Err: err})
		}
	}
	select {
	case <-q.decided:
		return q.answers
	case <-ctx.Done():
		return nil
	}
}

// Answer implements node.Receiver.
func (q *query) Answer(c *node.Call, a node.Answer) {
	if q.every != nil && c.Request != nil {
		q.every(c.Index, a)
	}
	q.mu.Lock()
	q.open--
	last := q.open == 0
	if !q.done {
		q.answers[c.Index] = a
		if q.done = last || q.enough(q.answers); q.done {
			close(q.decided)
		}
	}
	q.mu.Unlock()
	if last {
		q.ended()
	}
}

// Late implements node.Receiver.
func (*query) Late(*node.Call, node.Answer) {}
