package fanout

import (
	"math"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A Result is a decided round.
type Result struct {
	quorum.Tally
	Outcome quorum.Outcome
	calls   []call
	round   *Round // whose memory calls is
}

// Done says that the result is not used any more, nor a copy of it. It is called
// once, or not at all: then the memory of the round is not reused.
func (r Result) Done() {
	if r.round != nil {
		r.round.unref()
	}
}

// Answer is the answer of node i, or false if it had not answered when the round was
// decided.
func (r Result) Answer(i int) (node.Answer, bool) {
	if c := &r.calls[i]; c.counted {
		return c.answer, true
	}
	return node.Answer{}, false
}

// FreeIn is the time after which the keys of others have expired on so many nodes that a
// majority is free. It is 0 if that is not known.
func (r Result) FreeIn() time.Duration {
	var left []time.Duration
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Status == node.Taken && a.TTL > 0 {
			left = append(left, a.TTL)
		}
	}
	slices.Sort(left)
	need := quorum.Majority(r.Nodes) - r.Yes
	if need < 1 || need > len(left) {
		return 0
	}
	return left[need-1]
}

// LastTicket is the largest ticket that a node has seen, if the question was AcquireInTurn.
func (r Result) LastTicket() (last int64) {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered {
			last = max(last, a.Last)
		}
	}
	return last
}

// FirstTicket is the smallest ticket in the wait queue, as far as the answers tell, or
// 0 if there is none.
func (r Result) FirstTicket() (first int64) {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.First > 0 && (first == 0 || a.First < first) {
			first = a.First
		}
	}
	return first
}

// Queued is the number of nodes where the lock is free and another waiter is first in the
// wait queue.
func (r Result) Queued() (n int) {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Status == node.Queued {
			n++
		}
	}
	return n
}

// Readers reports whether readers were in the way on some node. Then nothing is known of a majority:
// a node names one of them.
func (r Result) Readers() bool {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Status == node.Taken {
			if _, _, shared := node.Readers(a.Holder); shared {
				return true
			}
			for _, other := range a.Others() {
				if _, _, shared := node.Readers(other.Holder); shared {
					return true
				}
			}
		}
	}
	return false
}

// Split reports whether the round was lost without a winner, as far as the answers tell:
// each of several contenders has taken the lock on some nodes, and rolls back. No value is
// on more than half of the nodes that did not fail. On the nodes that have not answered the
// value may be ours. Readers count as one value: no reader is on more nodes than all of them. A node
// without a free slot names the holder of the first: that says nothing to those who were granted none.
func (r Result) Split() bool {
	if r.Outcome != quorum.Lost {
		return false
	}
	if r.round.request.Grant() == node.AnyKey {
		switch granted := r.Granted(); {
		case granted > r.Yes: // different slots
			return true
		case granted == 0:
			return false
		}
	}
	most := r.largestHolder()
	return most > 0 && 2*most <= r.Nodes-r.Failed && r.Queued() == 0
}

// NoHolder reports whether it is certain that the lock is not held, although we won no
// majority: no other value has one, even if it is on all nodes that have not answered. Of several
// keys that is never certain: a node names the holder of one of them.
func (r Result) NoHolder() bool {
	if grant := r.round.request.Grant(); grant == node.AllKeys || grant == node.AnyKey || r.Readers() {
		return false
	}
	most := r.largestHolder()
	return r.Outcome == quorum.Lost && most > 0 && most+r.Nodes-r.Yes-r.No < quorum.Majority(r.Nodes) && r.Queued() == 0 && r.TokenTooSmall() == 0
}

// largestHolder is the largest number of nodes that said that one and the same value has
// the lock, or the same one of several, or that readers have it.
func (r Result) largestHolder() (most int) {
	for i := range r.calls {
		a, answered := r.Answer(i)
		if !answered || a.Status != node.Taken {
			continue
		}
		most = max(most, r.holding(i, node.Holding{Index: a.Index, Holder: a.Holder}))
		for _, other := range a.Others() {
			most = max(most, r.holding(i, other))
		}
	}
	return most
}

// holding is how many of the nodes up to the last one said that a value, or readers, have a key.
func (r Result) holding(last int, what node.Holding) (n int) {
	for i := range last + 1 {
		a, answered := r.Answer(i)
		same := func(other node.Holding) bool {
			return other.Index == what.Index && ViewOf(other.Holder) == ViewOf(what.Holder)
		}
		if answered && a.Status == node.Taken && (same(node.Holding{Index: a.Index, Holder: a.Holder}) || slices.ContainsFunc(a.Others(), same)) {
			n++
		}
	}
	return n
}

// OtherWaiter is the waiter id of another waiter for the lock, as a node that released it
// knows, or "".
func (r Result) OtherWaiter() string {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.NextWaiter != "" {
			return a.NextWaiter
		}
	}
	return ""
}

// LargestToken is a token such that a larger one is not too small for a majority, as far as
// the answers tell. It is not the largest of all: one node that is far ahead of the others
// must not make all Lockers propose tokens that the others would refuse.
func (r Result) LargestToken() int64 {
	var buf [7]int64
	seen := buf[:0]
	for i := range r.calls {
		a, answered := r.Answer(i)
		switch {
		case !answered, a.Status == node.Granted:
			seen = append(seen, 0)
		case a.Micros > 0:
			seen = append(seen, a.LargestToken)
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

// SeenToken is the largest token that was taken on a majority before a reader was let in there.
func (r Result) SeenToken() (largest int64) {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Status == node.Granted {
			largest = max(largest, a.LargestToken)
		}
	}
	return largest
}

// TokenTooOld reports whether a majority granted a token that is older than their time by
// more than clockTolerance. Such a token is proposed by a process that was suspended since it
// last heard the time of the nodes, or by one whose clock is slower and that was idle for
// long. A node that remembers the name refuses it if it had a larger one. A node that forgot
// the name cannot, and relies on the time (docs/guarantees.md, 9).
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
		if a, answered := r.Answer(i); answered && a.Status == node.TokenTooSmall {
			n++
		}
	}
	return n
}
