package fanout

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// An Examination says how to examine the nodes.
type Examination struct {
	Prefix   string        // of all keys of locks
	Patience time.Duration // for the answer to one question
	Period   time.Duration // over which the clocks are compared
	Budget   time.Duration // for all questions to one node
	Fair     bool          // locks are waited for with WithFair
	Fencing  bool          // locks have tokens
}

var errNoEnd = errors.New("it was not examined to the end in time: its client did not return")

// Examine examines all nodes at the same time, so that their clocks can be compared. It
// returns the facts in the order of the nodes. It takes the budget and one more patience, for
// cleaning up, at most. If ctx ends first it returns nil. When the client of the last node has
// returned it calls ended.
func (g *Group) Examine(ctx context.Context, e Examination, ended func()) []node.Facts {
	var id [8]byte
	rand.Read(id[:]) // never fails, see crypto/rand
	name := "redlock-check:" + hex.EncodeToString(id[:])
	x := node.Examination{
		Fair: e.Fair, Fencing: e.Fencing, Guard: g.guard,
		Patience: e.Patience, Period: e.Period, Origin: time.Now(),
		Key: e.Prefix + name,
		TTL: e.Budget + 2*e.Patience, // longer than the last node may take: the nodes compare what they find
	}
	type result struct {
		i     int
		facts node.Facts
	}
	results := make(chan result, len(g.nodes)) // buffered: they may come after Examine has returned
	asking, stop := context.WithTimeout(ctx, e.Budget)
	var clients sync.WaitGroup
	for i, n := range g.nodes {
		x.Value = fmt.Sprintf("%s:%d", name, i)
		x.Own = fmt.Sprintf("%s:%d", x.Key, i)
		own := x
		clients.Go(func() { // ends when the client has returned from its last question
			results <- result{i, n.Examine(asking, own)}
		})
	}
	go func() { // ends after the goroutines above
		clients.Wait()
		stop()
		ended()
	}()

	all := make([]node.Facts, len(g.nodes))
	for i, n := range g.nodes {
		all[i] = node.Facts{Node: n.String(), Err: errNoEnd}
	}
	late := time.NewTimer(e.Budget + e.Patience)
	defer late.Stop()
	for range g.nodes {
		select {
		case r := <-results:
			all[r.i] = r.facts
		case <-late.C:
			return all
		case <-ctx.Done():
			return nil
		}
	}
	return all
}
