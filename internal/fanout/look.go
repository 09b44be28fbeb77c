package fanout

import (
	"context"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A look is a question that changes nothing: there is no claim, and nothing to
// settle.
type look struct {
	enough func([]node.Answer) bool
	ended  func()

	mu      sync.Mutex // protects the rest until decided is closed
	answers []node.Answer
	open    int
	over    bool
	decided chan struct{}
}

// Look asks every node who holds key. It returns as soon as what it has is enough,
// or all nodes answered or failed: their answers, in the order of the nodes, with
// errUnknown for those that have not answered. With a mark it wants the release to be
// published as long as that lives. If ctx ends first it returns nil. When the last
// node has answered or was given up it calls ended.
func (g *Group) Look(ctx context.Context, key string, timeout, mark time.Duration, enough func([]node.Answer) bool, ended func()) []node.Answer {
	l := &look{enough: enough, ended: ended, answers: make([]node.Answer, len(g.nodes)), open: len(g.nodes), decided: make(chan struct{})}
	for i := range l.answers {
		l.answers[i].Err = errUnknown
	}
	request := node.NewRequest(node.Inspect, node.NewLease(key, ""), 0, node.Mark{TTL: mark})
	deadline := node.MakeDeadline(ctx, timeout)
	for i, n := range g.nodes {
		c := &node.Call{Request: request, Deadline: &deadline, Receiver: l, Index: i}
		if err := n.Start(c); err != nil {
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
func (l *look) Answer(c *node.Call, a node.Answer) {
	l.mu.Lock()
	l.open--
	last := l.open == 0
	if !l.over {
		l.answers[c.Index] = a
		if l.over = last || l.enough(l.answers); l.over {
			close(l.decided)
		}
	}
	l.mu.Unlock()
	if last {
		l.ended()
	}
}

// Late implements node.Receiver.
func (*look) Late(*node.Call, node.Answer) {}
