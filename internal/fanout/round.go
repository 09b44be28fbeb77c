package fanout

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A Round is one question to all nodes. It is decided when its outcome is certain, and the
// reason for it is known: see decide.
type Round struct {
	group    *Group
	request  node.Request
	deadline node.Deadline
	calls    []call
	refs     atomic.Int32 // see unref
	needsAll bool         // every node is needed for it, and only its own timeout ends the wait of its caller

	// Protected by the claim's mutex until decided is sent to, then constant.
	outcome quorum.Outcome
	tally   quorum.Tally
	decided chan struct{}
}

func newRound(ctx context.Context, verb node.Verb, c *Claim, ttl, timeout time.Duration) *Round {
	g := c.group
	r := g.round()
	r.group = g
	c.fillRequest(&r.request, verb, c.asked(verb), ttl)
	r.deadline = node.MakeDeadline(ctx, timeout)
	r.tally.Nodes = len(r.calls)
	r.needsAll = endless(ctx, verb) && g.Majority() == len(r.calls)
	r.decided = g.signals.Get().(chan struct{})
	r.refs.Store(int32(len(r.calls)) + 1)
	for i := range r.calls {
		sent := &r.calls[i]
		sent.claim, sent.round = c, r
		sent.Call = node.Call{Request: &r.request, Deadline: &r.deadline, Receiver: sent, Index: i}
	}
	return r
}

// endless reports whether only the round's own timeout ends the wait for it. For a release
// a cancellation does not end the wait either, see WaitByDeadline.
func endless(ctx context.Context, verb node.Verb) bool {
	if verb.Releases() {
		_, bounded := ctx.Deadline()
		return !bounded
	}
	return ctx.Done() == nil
}

// Wait returns the result as soon as the round is decided, or false if ctx ends
// first. The nodes' timeout decides every round in the end. Wait is called once, and
// the round is not used afterwards. The result may be used until Done.
func (r *Round) Wait(ctx context.Context) (Result, bool) {
	select {
	case <-r.decided:
	case <-ctx.Done():
		select {
		case <-r.decided: // both came at once: return the result
		default:
			r.unref()
			return Result{}, false
		}
	}
	return r.result(), true
}

// WaitByDeadline is Wait for a caller that cleans up: ctx may be cancelled. Only a deadline
// that is still ahead ends the wait before the nodes' timeout does.
func (r *Round) WaitByDeadline(ctx context.Context) (Result, bool) {
	at, bounded := ctx.Deadline()
	if bounded = bounded && time.Until(at) > 0; !bounded {
		return r.Wait(context.Background())
	}
	ended := ctx.Done()
	var passed <-chan time.Time
	for {
		select {
		case <-r.decided:
			return r.result(), true
		case <-ended: // by the deadline, or before it
			ended = nil
			passed = time.After(time.Until(at))
		case <-passed:
			select {
			case <-r.decided:
				return r.result(), true
			default:
				r.unref()
				return Result{}, false
			}
		}
	}
}

// result is the result of a decided round. Its signal was received, so the channel can
// serve another round.
func (r *Round) result() Result {
	r.group.signals.Put(r.decided)
	return Result{Tally: r.tally, Outcome: r.outcome, calls: r.calls, round: r}
}

// count counts one node's answer, unless it comes too late. The claim's mutex is
// held.
func (r *Round) count(c *call) {
	if r.outcome != quorum.Open {
		return
	}
	c.counted = true
	switch c.answer.Status {
	case node.Granted, node.Extended, node.Deleted:
		if r.request.Grant() == node.AnyKey && r.request.Verb.Takes() {
			r.countSlot()
			break
		}
		r.tally.Yes++
	case node.Taken, node.Queued, node.TokenTooSmall, node.Absent:
		r.tally.No++
	case node.Failed:
		r.tally.Failed++
	}
	r.outcome = decide(r.request.Verb, r.tally)
	if r.outcome != quorum.Open {
		r.decided <- struct{}{}
	}
}

// decide returns the outcome of the answers so far, or Open. A round is decided when its
// outcome is certain, and the reason for it is known.
//
// A majority that cannot be reached any more is lost at once if the reason is clear: the
// nodes denied it, or the nodes failed. Where it takes both, the open answers are waited
// for until a majority answered. "Taken" and "no quorum" call for different reactions, and
// one node that is down must not turn the second into the first.
//
// Half of an even number of nodes prevents a majority without being one. The other half
// tells whether one holder has them, or the vote is split. So a round that takes a lock
// waits for all answers then, unless more than half deny it.
//
// A lock is free as soon as a majority does not carry it, whether it was deleted there now or
// had gone before. But if a majority had lost it before, it was not held any more, and the
// caller must know that (Lost, with Denied). So when the answers to a release are mixed,
// all are waited for.
func decide(verb node.Verb, t quorum.Tally) quorum.Outcome {
	outcome := t.Outcome()
	answered := t.Yes + t.No
	switch {
	case outcome != quorum.Lost || t.Unreachable():
		return outcome
	case verb.Takes() && t.Denied():
		if t.No < quorum.Majority(t.Nodes) && answered+t.Failed < t.Nodes {
			return quorum.Open
		}
		return quorum.Lost
	case t.Denied():
		return quorum.Lost
	case !verb.Releases() && answered >= quorum.Majority(t.Nodes):
		return quorum.Lost
	case verb.Releases() && answered+t.Failed == t.Nodes:
		return quorum.Won
	}
	return quorum.Open
}
