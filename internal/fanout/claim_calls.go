package fanout

import (
	"context"
	"errors"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/pool"
)

// How the calls of a claim are put in order: on every node one at a time. What follows a
// call depends on its answer, and on whether the claim was released.

// enqueue puts the round's calls in flight on the nodes where none is, and makes them the
// next call on the others. sendAll follows, without the claim's mutex, which is held here:
// sending takes as long as a system call, and answers arrive meanwhile.
func (c *Claim) enqueue(r *Round) {
	for i := range c.states {
		next, s := &r.calls[i], &c.states[i]
		if c.released && !r.request.Verb.Releases() {
			next.supersede() // it must not replace the release
			continue
		}
		if s.inFlight == nil {
			c.setInFlight(next)
			next.due = true
			continue
		}
		switch {
		case s.next == nil:
		case s.next.Request.Verb.Releases(): // and so is this one: it is sent for both
			next.coalesced = s.next
		default:
			s.next.supersede()
		}
		s.next = next
	}
}

// sendAll sends the calls that enqueue put in flight.
func (c *Claim) sendAll(r *Round) *Round {
	for i := range r.calls {
		if !r.calls[i].due {
			continue
		}
		start := (*node.Node).Start
		if i == len(r.calls)-1 && r.needsAll {
			start = (*node.Node).Run
		}
		c.sendBy(start, &r.calls[i])
	}
	return r
}

// setInFlight notes that a call is in flight on its node. No other is sent there until
// it was answered. send follows. The claim's mutex is held.
func (c *Claim) setInFlight(next *call) *call {
	if next == nil {
		return nil
	}
	s := &c.states[next.Index]
	s.inFlight = next
	if next.Request.Verb.Releases() && !s.pendingRelease {
		s.sentWhileOutstanding = s.outstanding > 0
	}
	return next
}

// send sends a call that was set in flight. If that fails at once, it sends the call that
// follows, and so on. The claim's mutex is not held.
func (c *Claim) send(next *call) { c.sendBy((*node.Node).Start, next) }

func (c *Claim) sendBy(start func(*node.Node, *node.Call) error, next *call) {
	for next != nil {
		i := next.Index
		err := start(c.group.nodes[i], &next.Call)
		start = (*node.Node).Start
		if err == nil {
			return
		}
		c.mu.Lock()
		c.states[i].inFlight = nil
		c.countTurn(next.Request.Verb, false)
		last := next
		last.vote(node.Answer{Err: err, At: time.Now()}) // nothing was sent: nothing to learn
		next = c.setInFlight(c.nextCall(i, last))
		last.finished()
		c.mu.Unlock()
	}
}

// takeAnswer takes an answer in and returns the call to send next.
func (c *Claim) takeAnswer(last *call, a node.Answer) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := last.Index
	s := &c.states[i]
	s.inFlight = nil // it was last: one call is in flight at a time
	c.countTurn(last.Request.Verb, a.Answered())
	c.measure(&last.Call, a)
	c.detectDuplicate(i, a, 0)
	s.learn(last.Request.Verb, a, c.lifetime(last))
	c.noteSlot(last, a)
	if s.duplicate && (a.Status == node.Granted || a.Status == node.Extended) {
		a.Status, a.Err = node.Failed, errDuplicate
	}
	if last.Request.Verb.Releases() {
		a = s.releaseAnswered(a)
	}
	last.vote(a)
	c.askAgainIfDenied(s)
	next := c.setInFlight(c.nextCall(i, last))
	// The client of a call that was given up still has it. It may have returned just
	// now, so that Late came before this.
	if last.answered = true; !a.InClient || last.returned {
		last.finished()
	}
	return next
}

// takeLate takes in what became of a call that had been given up.
func (c *Claim) takeLate(last *call, a node.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.measure(&last.Call, a)
	s := &c.states[last.Index]
	c.detectDuplicate(last.Index, a, 1)
	s.learnLate(last.Request.Verb, a, c.lifetime(last))
	c.noteSlot(last, a)
	c.askAgainIfDenied(s)
	if s.pendingRelease {
		c.group.pending[last.Index].clientReturned(c)
	}
	if last.returned = true; last.answered {
		last.finished()
	}
}

// lifetime is how long a key may live that the call sets now.
func (c *Claim) lifetime(sent *call) time.Duration {
	return quorum.Lifetime(sent.Request.TTL, c.group.drift)
}

// nextCall chooses the call that follows on node i after the call last, which is nil if there
// was none. It returns nil if none follows. The claim's mutex is held.
func (c *Claim) nextCall(i int, last *call) *call {
	s := &c.states[i]
	if next := s.next; next != nil {
		s.next = nil
		return next
	}
	if !c.released {
		if last.foundNoKey() && time.Now().Before(c.retakeUntil) {
			return c.backgroundCall(i, node.Acquire, last.Request.TTL)
		}
		return nil
	}
	switch {
	case s.settled || s.pendingRelease:
	case !s.maybeSet || last.releasedKey() && !s.sentWhileOutstanding && s.provesRelease(c.group.nodes[i], last.Deadline.Made()):
		c.settle(i)
	case last == nil || !last.Request.Verb.Releases():
		verb, ttl := c.releaseVerb()
		return c.backgroundCall(i, verb, ttl)
	case c.abandoned.Load():
		c.settle(i)
	case errors.Is(last.answer.Err, pool.ErrClosed):
		c.abandonNode(i)
	default: // a release that did not settle it
		s.pendingRelease = true
		s.closeGone()
		c.group.pending[i].add(c, i)
	}
	return nil
}

// fillRequest builds the request verb about the claim. If it is a release, the claim's
// mutex is held.
func (c *Claim) fillRequest(r *node.Request, verb node.Verb, entry node.Entry, ttl time.Duration) {
	var flag node.WaiterFlag
	switch {
	case verb == node.AcquireOrFlag || verb == node.AcquireInTurn:
		flag = c.flag
	case verb == node.Release && (c.announce || c.flag.Position.Ticket > 0):
		if flag.ID = c.group.releaserID; c.flag.Position.Ticket > 0 {
			flag.ID = c.flag.ID
		}
		flag.Position.Ticket, flag.Position.TTL, flag.Position.Requeue = c.flag.Position.Ticket, c.flag.Position.TTL, c.requeue
		flag.Position.Intent = c.announce && c.flag.Position.Intent
	}
	r.Set(verb, entry, ttl, flag)
}

// backgroundCall makes a call for which no round waits.
func (c *Claim) backgroundCall(i int, verb node.Verb, ttl time.Duration) *call {
	request := new(node.Request)
	entry := c.asked(verb)
	if verb == node.Acquire { // on a node that lost the key of a lock that is held
		entry = entry.Retake()
	}
	c.fillRequest(request, verb, entry, ttl)
	deadline := node.MakeDeadline(context.Background(), c.callTimeout())
	sent := &call{claim: c}
	sent.Call = node.Call{Request: request, Deadline: &deadline, Receiver: sent, Index: i}
	return sent
}
