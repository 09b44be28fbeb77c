package fanout

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A Round is one question to all nodes. It is decided at the first moment that
// the open answers cannot change the outcome.
type Round struct {
	group    *Group
	request  node.Request
	deadline node.Deadline
	calls    []call
	refs     atomic.Int32 // see drop
	alone    bool         // its caller waits for every answer, however long it takes

	// Protected by the claim's mutex until decided is told, then constant.
	outcome quorum.Outcome
	tally   quorum.Tally
	decided chan struct{}
}

// A call is the round's question on its way to one node.
type call struct {
	node.Call
	claim     *Claim
	round     *Round      // nil if no round waits for it
	coalesced *call       // a release before it that was not sent: they share the answer
	answer    node.Answer // once there is one
	counted   bool        // the answer is part of the result, and constant with it
	due       bool        // to be sent by who started the round

	// Protected by the claim's mutex, like answer.
	answered bool // Answer came
	returned bool // Late came
}

// releasedKey reports whether the call was a release and the node carried it out.
func (c *call) releasedKey() bool {
	return c != nil && c.Request.Verb.Releases() && c.answer.Status != node.Failed
}

// foundNoKey reports whether the call was an extension of a key that is gone.
func (c *call) foundNoKey() bool {
	return c != nil && c.Request.Verb == node.Extend && c.answer.Status == node.Absent
}

// A Result is a decided round.
type Result struct {
	quorum.Tally
	Outcome quorum.Outcome
	calls   []call
	round   *Round // whose memory calls is
}

// Answer is what node i had said when the round was decided, or false if it had
// said nothing yet.
func (r Result) Answer(i int) (node.Answer, bool) {
	if c := &r.calls[i]; c.counted {
		return c.answer, true
	}
	return node.Answer{}, false
}

// FreeIn is how long the lock is still held by others, 0 if that is not known: the
// time until keys have expired on so many nodes that a majority is free.
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

// LastTicket is the largest ticket that a node has seen, if the round asked for a turn.
func (r Result) LastTicket() (last int64) {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered {
			last = max(last, a.Last)
		}
	}
	return last
}

// FirstTicket is the smallest ticket of those who stand in line, as far as nodes said, or
// 0 if there is none.
func (r Result) FirstTicket() (first int64) {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.First > 0 && (first == 0 || a.First < first) {
			first = a.First
		}
	}
	return first
}

// Queued is the number of nodes where the lock is free and others come first.
func (r Result) Queued() (n int) {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Status == node.Queued {
			n++
		}
	}
	return n
}

// Split reports whether the round was lost without a winner, as far as nodes answered:
// contenders have taken the lock on some of them each, and are giving it back. No value is
// on more than half of the nodes that did not fail; of those that were not heard it may be
// us who have them.
func (r Result) Split() bool {
	most := r.largestHolder()
	return r.Outcome == quorum.Lost && most > 0 && 2*most <= r.Nodes-r.Failed && r.Queued() == 0
}

// NoHolder reports whether the lock is certainly held by nobody, although there was no
// majority for us: no value has one, even if it is on all nodes that have not answered.
func (r Result) NoHolder() bool {
	most := r.largestHolder()
	return r.Outcome == quorum.Lost && most > 0 && most+r.Nodes-r.Yes-r.No < quorum.Majority(r.Nodes) && r.Queued() == 0 && r.TokenTooSmall() == 0
}

// largestHolder is the largest number of nodes that said that one and the same value has the lock.
func (r Result) largestHolder() (most int) {
	for i := range r.calls {
		same := 0
		a, answered := r.Answer(i)
		if !answered || a.Status != node.Taken {
			continue
		}
		for j := range i + 1 {
			if b, answered := r.Answer(j); answered && b.Status == node.Taken && b.Holder == a.Holder {
				same++
			}
		}
		most = max(most, same)
	}
	return most
}

// OtherWaiter says who else waits for the lock, as a node knows that released it, or
// "".
func (r Result) OtherWaiter() string {
	for i := range r.calls {
		if a, answered := r.Answer(i); answered && a.Awaited != "" {
			return a.Awaited
		}
	}
	return ""
}

// Wait returns the result as soon as the round is decided, or false if ctx ends
// first. The nodes' timeout decides every round in the end. It is called once, and
// the round not used any more: the result is what is left of it, until Done.
func (r *Round) Wait(ctx context.Context) (Result, bool) {
	select {
	case <-r.decided:
	case <-ctx.Done():
		select {
		case <-r.decided: // both at once: an outcome is worth more
		default:
			r.unref()
			return Result{}, false
		}
	}
	return r.result(), true
}

// WaitByDeadline is Wait for a caller whose work is the way to an end: ctx may be
// cancelled. Only a deadline that is still ahead ends it before the nodes' timeout does.
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

// result is what the round came to. Its signal was received, and serves another one.
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
		r.tally.Yes++
	case node.Taken, node.Queued, node.Stale, node.Absent:
		r.tally.No++
	case node.Failed:
		r.tally.Failed++
	}
	r.outcome = decide(r.request.Verb, r.tally)
	if r.outcome != quorum.Open {
		r.decided <- struct{}{}
	}
}

// decide says what the answers so far come to: the question is decided, and it
// is known why.
//
// A majority that cannot be had any more is lost at once if it is plain who is
// to blame: nodes that denied it, or nodes that failed. Where it takes both, the
// open answers are waited for until a majority answered: "taken" and "no quorum"
// call for different things, and one node that is down is no reason to take the
// first for the second.
//
// Half of an even number of nodes deny a majority, and are none themselves: whether they
// are of one holder, or the vote is split, the other half tells. So for a lock that is to
// be taken all answers are waited for then, unless more than half deny it.
//
// To be rid of a lock, a majority that does not carry it is enough, whether it
// was deleted there now or had gone before. But if so many had lost it before
// that it was not held any more (Lost, with Denied), the caller must know. So
// when the answers to a release are mixed, all are waited for.
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
