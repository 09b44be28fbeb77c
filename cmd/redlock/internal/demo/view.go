package demo

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// A view is what there is to see at one moment.
type view struct {
	elapsed, total, ttl time.Duration
	holders             []holderView // one, or none; two if exclusion is broken
	nodes               []nodeView
	workers             []workerState
	waiting             []int // numbers of workers, the head of the queue first
	events              []event
	tally               tally
	overlaps            int
}

type holderView struct {
	worker      int
	since, left time.Duration
	held        int // nodes
}

type nodeView struct {
	state  nodeState
	holder string // label in its key; "" without a key
}

// look takes a view. Locks and nodes are asked themselves: what is shown is what
// the library says of a lock, and what stands in each node's memory.
func (d *Demo) look(now time.Time) view {
	b := d.board
	b.mu.Lock()
	v := view{
		elapsed: now.Sub(b.began), total: d.length, ttl: d.ttl,
		workers: append([]workerState(nil), b.workers...),
		events:  append([]event(nil), b.events...),
		tally:   b.tally,
	}
	states := b.nodes
	b.mu.Unlock()

	for i, w := range v.workers {
		if w.lock == nil {
			continue
		}
		left := time.Until(w.lock.Until())
		if left <= 0 || w.lock.Context().Err() != nil {
			continue // lost, and its worker has not noticed yet
		}
		held, _ := w.lock.Held()
		v.holders = append(v.holders, holderView{worker: i, since: now.Sub(w.since), left: left, held: held})
	}
	v.waiting = waitQueue(v.workers)
	for i, s := range states {
		v.nodes = append(v.nodes, nodeView{s, holderOn(d.cluster.Node(i))})
	}
	_, overlaps := d.referee.verdict()
	v.overlaps = len(overlaps)
	return v
}

// waitQueue returns the workers that wait, as far as their positions are known.
func waitQueue(workers []workerState) (waiting []int) {
	ahead := make(map[int]int)
	for i, w := range workers {
		if w.request == nil {
			continue
		}
		if n, known := w.request.Position(); known {
			ahead[i] = n
			waiting = append(waiting, i)
		}
	}
	slices.SortStableFunc(waiting, func(a, b int) int { return ahead[a] - ahead[b] })
	return waiting
}

// holderOn returns the label in the lock's key on a node.
func holderOn(n *redlocktest.Node) string {
	value, _ := n.Get(key)
	return value[strings.LastIndexByte(value, ':')+1:] // rl1:<nonce>:<label>
}

// reason says in a few words why a lock was lost.
func reason(cause error) string {
	var q *redlock.QuorumError
	switch {
	case errors.Is(cause, redlock.ErrExpired):
		return "it ran out before a majority renewed it"
	case errors.As(cause, &q):
		return "a majority of the nodes no longer has it"
	}
	return strings.TrimPrefix(cause.Error(), "redlock: ")
}
