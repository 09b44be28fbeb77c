package fanout

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// Fencing tokens: what is proposed. That a majority takes only growing ones is for the
// nodes, see fence.lua, and does not depend on anything here.
//
// What is proposed is the time, so that nodes which know nothing (of a new name, or
// after they lost their data) order tokens, too, and so that nobody has to ask first
// what the last one was. It is the time of the nodes, as their answers tell it, and a
// minority of clocks that are fast does not matter. If some are slow it may be too
// early: then nodes refuse it, and tell theirs.

// clockTolerance is how far the times that a group proposes may be off after one another: by how
// long answers take. If it is more, clocks were set back.
const clockTolerance = time.Second

// fresh is for how long what a node said about its time is gone by: then our clock, in
// which we count from there, is ahead of the node's by half a stray at most.
func fresh(drift float64) time.Duration {
	const ever = math.MaxInt64 / 2
	return time.Duration(min(float64(clockTolerance)/2/drift, ever))
}

// A proposer knows the last proposal of a group.
type proposer struct{ last atomic.Int64 }

// Token proposes a fencing token for a lock of whose tokens seen is the newest known.
// It is 0, which no node takes, as long as too few have said what time it is; what they
// answer to that does.
func (g *Group) Token(seen int64) int64 {
	now := g.agreedMicros()
	if now == 0 {
		return 0
	}
	return max(g.proposer.next(now), seen+1)
}

// next returns the time now, or a little more if that has been proposed: else an answer
// that took long would be followed by proposals that are refused.
func (p *proposer) next(now int64) int64 {
	for {
		last := p.last.Load()
		next := now
		if last >= now && last-now < clockTolerance.Microseconds() {
			next = last + 1
		}
		if p.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// agreedMicros is the latest time, in microseconds since 1970, that more nodes have reached than
// may fail, so that one of them is right; 0 if so many clocks are not known, or not any
// more. If all are, it is the median.
func (g *Group) agreedMicros() int64 {
	var room [7]int64
	known := room[:0]
	for _, n := range g.nodes {
		if m := n.Micros(); m > 0 {
			known = append(known, m)
		}
	}
	enough := len(g.nodes) - g.Majority() + 1 // as many answers as say that a lock is not to be had
	if len(known) < enough {
		return 0
	}
	slices.Sort(known)
	return known[len(known)-enough]
}

// Fence gives the claim a fencing token, before it asks for anything. The nodes
// remember it for life.
func (c *Claim) Fence(token int64, life time.Duration) {
	c.lease = c.lease.Fenced(&c.fence, token, life)
}

// NewestToken is a token such that a larger one is not too small for a majority, as far as
// the answers tell. It is not the newest of all: one node that is far ahead of the others
// must not make everybody propose what these would refuse.
func (r Result) NewestToken() int64 {
	var room [7]int64
	seen := room[:0]
	for i := range r.calls {
		a, answered := r.Answer(i)
		switch {
		case !answered, a.Status == node.Granted:
			seen = append(seen, 0)
		case a.Micros > 0:
			seen = append(seen, a.Newest)
		default: // it does not count, whatever is proposed
			seen = append(seen, math.MaxInt64)
		}
	}
	slices.Sort(seen)
	if newest := seen[quorum.Majority(len(seen))-1]; newest != math.MaxInt64 {
		return newest
	}
	return 0
}

// TokenTooOld reports whether a majority granted a token of a time that is over for them, as it
// is proposed by who slept since it last heard what time it is, or whose clock is slower
// and who was idle for long. Nodes that remember the name refuse it if they had a larger
// one. Those that forgot it cannot, and they count on the time (docs/guarantees.md, 9).
func (r Result) TokenTooOld(token int64) bool {
	n := 0
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Status == node.Granted && a.Micros-token > clockTolerance.Microseconds() {
			n++
		}
	}
	return n >= quorum.Majority(r.Nodes)
}

// TokenTooSmall is the number of nodes where the lock is free, and the token was too small.
func (r Result) TokenTooSmall() (n int) {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Status == node.Stale {
			n++
		}
	}
	return n
}
