package fanout

import (
	"context"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A query is a question to all nodes, or to some, without a claim: there is nothing to
// settle, whatever becomes of it.
type query struct {
	enough func([]node.Answer) bool
	ended  func()

	mu      sync.Mutex // protects the rest until decided is closed
	answers []node.Answer
	open    int
	done    bool
	decided chan struct{}
}

// Inspect asks every node who holds key. It returns as soon as what it has is enough,
// or all nodes answered or failed: their answers, in the order of the nodes, with
// errUnknown for those that have not answered. With a mark it wants the release to be
// published as long as that lives. If ctx ends first it returns nil. When the last
// node has answered or was given up it calls ended.
func (g *Group) Inspect(ctx context.Context, key string, timeout, mark time.Duration, enough func([]node.Answer) bool, ended func()) []node.Answer {
	request := node.NewRequest(node.Inspect, node.NewLease(key, ""), 0, node.Mark{TTL: mark})
	requests := make([]*node.Request, len(g.nodes))
	for i := range requests {
		requests[i] = request
	}
	return g.query(ctx, requests, timeout, enough, ended)
}

// Delete asks every node to delete key where it has the value that it has in values, and to
// tell those who wait. A node with an empty one is not asked: its answer is Absent. It
// returns when all have answered or failed, or nil if ctx ends first: what was sent may
// still be carried out then. It may be repeated: values are those of single attempts, so
// no later one is touched.
func (g *Group) Delete(ctx context.Context, key string, values []string, timeout time.Duration, ended func()) []node.Answer {
	// Nobody leaves marks in this name: so the release tells whoever waits, those of this
	// process, too.
	mark := node.Mark{Self: newWaiterID(), Line: node.Line{Lease: timeout}}
	requests := make([]*node.Request, len(g.nodes))
	for i, value := range values {
		if value != "" {
			requests[i] = node.NewRequest(node.Release, g.scripts.NewLease(key, value), 0, mark)
		}
	}
	all := func([]node.Answer) bool { return false }
	return g.query(ctx, requests, timeout, all, ended)
}

// query puts a request to each node that has one.
func (g *Group) query(ctx context.Context, requests []*node.Request, timeout time.Duration, enough func([]node.Answer) bool, ended func()) []node.Answer {
	l := &query{enough: enough, ended: ended, answers: make([]node.Answer, len(g.nodes)), open: len(g.nodes), decided: make(chan struct{})}
	for i := range l.answers {
		l.answers[i].Err = errNotWaitedFor
	}
	deadline := node.MakeDeadline(ctx, timeout)
	for i, n := range g.nodes {
		c := &node.Call{Request: requests[i], Deadline: &deadline, Receiver: l, Index: i}
		if c.Request == nil {
			l.Answer(c, node.Answer{Status: node.Absent})
		} else if err := n.Start(c); err != nil {
			l.Answer(c, node.Answer{Err: err})
		}
	}
	select {
	case <-l.decided:
		return l.answers
	case <-ctx.Done():
		return nil
	}
}

// Answer implements node.Receiver.
func (l *query) Answer(c *node.Call, a node.Answer) {
	l.mu.Lock()
	l.open--
	last := l.open == 0
	if !l.done {
		l.answers[c.Index] = a
		if l.done = last || l.enough(l.answers); l.done {
			close(l.decided)
		}
	}
	l.mu.Unlock()
	if last {
		l.ended()
	}
}

// Late implements node.Receiver.
func (*query) Late(*node.Call, node.Answer) {}
