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
	line                []int // of workers, the first to be served first
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
	holder string // whom its key names; "" if it has none
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
			continue // over, and its worker is about to notice
		}
		held, _ := w.lock.Held()
		v.holders = append(v.holders, holderView{worker: i, since: now.Sub(w.since), left: left, held: held})
	}
	v.line = inLine(v.workers)
	for i, s := range states {
		v.nodes = append(v.nodes, nodeView{s, holderOn(d.cluster.Node(i))})
	}
	_, overlaps := d.referee.verdict()
	v.overlaps = len(overlaps)
	return v
}

// inLine returns the workers that stand in line, as far as they know where.
func inLine(workers []workerState) (line []int) {
	ahead := make(map[int]int)
	for i, w := range workers {
		if w.request == nil {
			continue
		}
		if n, known := w.request.Position(); known {
			ahead[i] = n
			line = append(line, i)
		}
	}
	slices.SortStableFunc(line, func(a, b int) int { return ahead[a] - ahead[b] })
	return line
}

// holderOn is whom the lock's key names on a node.
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
