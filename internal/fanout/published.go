package fanout

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// ReadPublished asks every node what is published under key, for its version only if text is
// false. It returns as Inspect does.
func (g *Group) ReadPublished(ctx context.Context, key string, text bool, timeout time.Duration, enough func([]node.Answer) bool, ended func()) []node.Answer {
	return g.query(ctx, g.same(node.NewRead(key, text)), timeout, enough, ended)
}

// ReadLed asks every node what the leader of an election has proclaimed, and which value holds its
// lock, whose key is key. It leaves the flag of a watcher for flagTTL. It returns as Inspect does.
func (g *Group) ReadLed(ctx context.Context, key string, timeout, flagTTL time.Duration, enough func([]node.Answer) bool, ended func()) []node.Answer {
	return g.query(ctx, g.same(node.NewReadLed(key, flagTTL)), timeout, enough, ended)
}

// Publish asks the nodes in to, or all if that is nil, to store p under key. If claim is not nil
// a node stores it only if the claim has its key there. Publish returns as Inspect does; every,
// if not nil, gets each answer of a node, also one that comes later. A node that was not asked
// answers Superseded.
func (g *Group) Publish(ctx context.Context, key string, claim *Claim, p node.Publication, to []bool, timeout time.Duration, enough func([]node.Answer) bool, every func(i int, a node.Answer), ended func()) []node.Answer {
	var lock *node.Entry
	if claim != nil {
		lock = &claim.entry
	}
	requests := g.same(node.NewPublish(key, lock, p))
	for i := range requests {
		if to != nil && !to[i] {
			requests[i] = nil
		}
	}
	q := &query{enough: enough, every: every, ended: ended, unasked: node.Superseded}
	return g.ask(ctx, q, requests, timeout)
}

// same is one request for all nodes.
func (g *Group) same(r *node.Request) []*node.Request {
	requests := make([]*node.Request, len(g.nodes))
	for i := range requests {
		requests[i] = r
	}
	return requests
}
