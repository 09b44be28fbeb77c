package fanout

import (
	"context"
	"sync"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A Listed is the answer of one node to a listing: its locks by key, or why it failed.
type Listed struct {
	Locks map[string]node.Answer
	Err   error
}

// List asks every node for its locks, all at the same time. It returns when all have
// answered to the end or failed, in the order of the nodes. When the client of the last
// node has returned it calls ended.
func (g *Group) List(ctx context.Context, what node.Listing, ended func()) []Listed {
	all := make([]Listed, len(g.nodes))
	var answers, clients sync.WaitGroup
	for i, n := range g.nodes {
		clients.Add(1)
		answers.Go(func() {
			all[i].Locks, all[i].Err = n.List(ctx, what, clients.Done)
		})
	}
	go func() { // ends when all clients have returned
		clients.Wait()
		ended()
	}()
	answers.Wait()
	return all
}
