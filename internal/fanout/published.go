package fanout

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// ReadPublished asks every node what is published under key. It returns as Inspect does.
func (g *Group) ReadPublished(ctx context.Context, key string, timeout time.Duration, enough func([]node.Answer) bool, ended func()) []node.Answer {
	return g.ask(ctx, &query{request: node.NewRead(key), enough: enough, ended: ended}, timeout)
}

// ReadVersion asks every node for the version of what is published under key. It returns as Inspect
// does.
func (g *Group) ReadVersion(ctx context.Context, key string, timeout time.Duration, enough func([]node.Answer) bool, ended func()) []node.Answer {
	return g.ask(ctx, &query{request: node.NewReadVersion(key), enough: enough, ended: ended}, timeout)
}

// ReadLed asks every node what the leader of an election has proclaimed, and which value holds its
// lock, whose key is key. It leaves the flag of a watcher for flagTTL. It returns as Inspect does.
func (g *Group) ReadLed(ctx context.Context, key string, timeout, flagTTL time.Duration, enough func([]node.Answer) bool, ended func()) []node.Answer {
	return g.ask(ctx, &query{request: node.NewReadLed(key, flagTTL), enough: enough, ended: ended}, timeout)
}

// Publish asks the nodes in to, or all if that is nil, to store p under key. If claim is not nil
// a node stores it only if the claim has its key there. Publish returns as Inspect does; every,
// if not nil, gets each answer of a node, also one that comes later. A node that was not asked
// answers Superseded.
func (g *Group) Publish(ctx context.Context, key string, claim *Claim, p node.Publication, to []bool, timeout time.Duration, enough func([]node.Answer) bool, every func(i int, a node.Answer), ended func()) []node.Answer {
	var lock *node.Entry
	if claim != nil {
		lock = &claim.entry
		if claim.chosen.Load() > 0 {
			slot := claim.asked(node.Publish)
			lock = &slot
		}
	}
	return g.ask(ctx, &query{request: node.NewPublish(key, lock, p), to: to, unasked: node.Superseded, enough: enough, every: every, ended: ended}, timeout)
}

// Micros is the time of the nodes, as the latest of those says that have stated it lately: see
// node.Node.Micros. It is 0 if none has.
func (g *Group) Micros() (latest int64) {
	for _, n := range g.nodes {
		latest = max(latest, n.Micros())
	}
	return latest
}
