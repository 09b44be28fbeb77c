package fanout

import (
	"context"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/pool"
)

// A round is more than a kilobyte, and a lock takes two. (It is just small enough for the
// allocator's class of 1,408 bytes, on three nodes; the next one has 1,536.) So its memory is used for
// another one when nobody can touch it any more.

// A roundPool is a sync.Pool, or stands in for one in tests.
type roundPool interface {
	Get() any // a round that says nothing, or nil
	Put(any)
}

// allSubmit reports whether rounds may be used again: all clients give back the context
// and the arguments of a command when they tell what became of it; see
// [pool.Submitter]. Of others that is not known. A client may dial, or trace, on
// goroutines of its own, and ask the context there when the call has returned.
func allSubmit(pools []pool.Pool) bool {
	return !slices.ContainsFunc(pools, func(p pool.Pool) bool {
		_, submits := p.(pool.Submitter)
		return !submits
	})
}

func newRound(ctx context.Context, verb node.Verb, c *Claim, ttl, timeout time.Duration) *Round {
	g := c.group
	r := g.round()
	r.group = g
	c.fillRequest(&r.request, verb, c.lease, ttl)
	r.deadline = node.MakeDeadline(ctx, timeout)
	r.tally.Nodes = len(r.calls)
	r.alone = endless(ctx, verb) && g.Majority() == len(r.calls)
	r.decided = g.signals.Get().(chan struct{})
	r.refs.Store(int32(len(r.calls)) + 1)
	for i := range r.calls {
		sent := &r.calls[i]
		sent.claim, sent.round = c, r
		sent.Call = node.Call{Request: &r.request, Deadline: &r.deadline, Receiver: sent, Index: i}
	}
	return r
}

// endless reports whether nothing ends the wait for a round but its own timeout. A
// cancellation does not end that for a release, see WaitByDeadline.
func endless(ctx context.Context, verb node.Verb) bool {
	if verb.Releases() {
		_, bounded := ctx.Deadline()
		return !bounded
	}
	return ctx.Done() == nil
}

// round returns a round that says nothing.
func (g *Group) round() *Round {
	if g.rounds != nil {
		if r, ok := g.rounds.Get().(*Round); ok {
			return r
		}
	}
	room := new(struct { // one piece of memory for three nodes or fewer
		round Round
		calls [3]call
	})
	r := &room.round
	r.calls = slices.Grow(room.calls[:0], len(g.nodes))[:len(g.nodes)]
	return r
}

// unref ends one use of the round: its caller's, who has seen the result or does not
// wait for it, or that of one of its calls, see over. Whoever drops has touched the
// round for the last time, and nothing that he leaves behind leads to it. The last to
// unref is alone with it.
//
// A round that is not dropped by all is left to the garbage collector. One that is
// dropped by somebody twice is used by two.
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

// finished is called once for each call, when nobody has it any more:
//
//   - It was answered, and the client has told what became of it. (Of a call that is
//     given up, Answer and Late are told on two goroutines, in any order: both have
//     to have come.) The node tells that last: by then it has taken the call out of
//     what it keeps, and the gate has forgotten it if it was a probe. The client has
//     given back what it got.
//   - Or it was never sent: the node refused it, or another took its place.
//
// And it is not on its seat any more, and no later release was sent for it as well, or
// that one was answered. What follows it on its seat was chosen before.
func (c *call) finished() {
	if c.round != nil {
		c.round.unref()
	}
}

// Done says that the result, and no copy of it, is looked at any more. It is called
// once, or not at all: that costs memory, and nothing else.
func (r Result) Done() {
	if r.round != nil {
		r.round.unref()
	}
}
