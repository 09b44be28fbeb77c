package fanout

import (
	"slices"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/pool"
)

// A round is more than a kilobyte, and a lock takes two. (It is just small enough for the
// allocator's class of 1,408 bytes, on three nodes; the next one has 1,536.) So its memory is
// used for another round when nothing can touch it any more.
//
// A late answer touches its call, and the claim, which both are still there: the call has a
// reference to the round until it was answered and its client has returned (call.finished). An
// answer to a round that is decided changes nothing in it (Round.count).

// A roundPool is a sync.Pool, or replaces it in tests.
type roundPool interface {
	Get() any // a cleared round, or nil
	Put(any)
}

// allSubmit reports whether rounds may be reused. They may if all clients are a
// [pool.Submitter]: these have given back the context and the arguments of a command when
// they report its outcome. Of other clients that is not known. A client may dial, or trace,
// on goroutines of its own, and ask the context there when the call has returned.
func allSubmit(pools []pool.Pool) bool {
	return !slices.ContainsFunc(pools, func(p pool.Pool) bool {
		_, submits := p.(pool.Submitter)
		return !submits
	})
}

// round returns a cleared round.
func (g *Group) round() *Round {
	if g.rounds != nil {
		if r, ok := g.rounds.Get().(*Round); ok {
			return r
		}
	}
	memory := new(struct { // one piece of memory for three nodes or fewer
		round Round
		calls [3]call
	})
	r := &memory.round
	r.calls = slices.Grow(memory.calls[:0], len(g.nodes))[:len(g.nodes)]
	return r
}

// unref drops one reference to the round. The caller has one, until it has read the result
// or does not wait for it. Each call has one, see finished. The goroutine that drops a
// reference has touched the round for the last time, and leaves no pointer to it behind. So
// the goroutine that drops the last reference is the only one that has the round, and clears
// it.
//
// If a reference is never dropped the round is left to the garbage collector. If one is
// dropped twice, two locks use the same memory.
func (r *Round) unref() {
	g := r.group
	if g.rounds == nil || r.refs.Add(-1) > 0 {
		return
	}
	clear(r.calls)
	r.request.Clear()
	r.deadline = node.Deadline{} // let go of the caller's context
	r.group, r.decided = nil, nil
	r.tally, r.outcome = quorum.Tally{}, quorum.Open
	g.rounds.Put(r)
}
