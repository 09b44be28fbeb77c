package fanout

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// Which fencing tokens are proposed. The nodes see to it that a majority grants only growing
// ones, see fence.lua: that does not depend on anything here. A node refuses a token that is not
// larger than the largest it has taken, or stands for a time so long ago that it may have
// forgotten larger ones, or is more than a day ahead of its clock and of
// that largest token. Locker.attempt gives back a grant whose token is old
// (Result.TokenTooOld). The resource refuses one that is smaller than the largest it has seen
// (package fence).
//
// The proposal is the time. So a node that knows nothing (of a new name, or after it lost its
// data) orders tokens, too, and the last token need not be asked for first. It is the time of
// the nodes, as their answers tell it. A minority of clocks that are fast does not matter. If
// some clocks are slow the proposal may be too small: then nodes refuse it, and tell their
// time.

// clockTolerance is how much earlier the agreed time may be than the last proposal, by how long
// answers take: the proposal is then one more than the last. If the time is earlier by more, clocks
// were set back.
const clockTolerance = time.Second

// fresh is for how long the time from a node is used. Our clock, by which we count from
// there, is ahead of the node's by half of clockTolerance at most then.
func fresh(drift float64) time.Duration {
	const ever = math.MaxInt64 / 2
	return time.Duration(min(float64(clockTolerance)/2/drift, ever))
}

// A proposer remembers the last proposal of a group.
type proposer struct{ last atomic.Int64 }

// Token proposes a fencing token for a lock. seen is the newest known token of that lock.
// While too few nodes have returned their time the proposal is 0, which every node refuses. The
// answers to that tell the time.
func (g *Group) Token(seen int64) int64 {
	now := g.agreedMicros()
	if now == 0 {
		return 0
	}
	return max(g.proposer.next(now), seen+1)
}

// next returns the time now, or a little more if that has been proposed. Otherwise an answer
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

// agreedMicros is the median of the clocks, in microseconds since 1970, if all are known.
// Otherwise it is the latest time that enough clocks have reached: one more than nodes may fail,
// so one of these nodes works. It is 0 if fewer clocks are known.
func (g *Group) agreedMicros() int64 {
	var buf [7]int64
	known := buf[:0]
	for _, n := range g.nodes {
		if m := n.Micros(); m > 0 {
			known = append(known, m)
		}
	}
	enough := len(g.nodes) - g.Majority() + 1 // one more than may fail
	if len(known) < enough {
		return 0
	}
	slices.Sort(known)
	return known[len(known)-enough]
}
