package fanout

import (
	"context"
	"errors"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/pool"
)

// How the calls of a claim are put in order: on every seat one at a time, each
// followed by what the answers and the end of the claim call for.

// start has the round's calls fly on the seats that are free, and follow on the
// others. launch comes next, without the claim's mutex, which is held here: to send
// takes as long as a system call, and answers come meanwhile.
func (c *Claim) start(r *Round) {
	for i := range c.seats {
		next, s := &r.calls[i], &c.seats[i]
		if c.released && !r.request.Verb.Releases() {
			next.supersede() // it must not take the place of the release
			continue
		}
		if s.flying == nil {
			c.fly(next)
			next.due = true
			continue
		}
		switch {
		case s.waiting == nil:
		case s.waiting.Request.Verb.Releases(): // and so does this one: the later is sent for both
			next.also = s.waiting
		default:
			s.waiting.supersede()
		}
		s.waiting = next
	}
}

func (c *Claim) launch(r *Round) *Round {
	for i := range r.calls {
		if !r.calls[i].due {
			continue
		}
		start := (*node.Node).Start
		if i == len(r.calls)-1 && r.alone {
			start = (*node.Node).Run
		}
		c.sendBy(start, &r.calls[i])
	}
	return r
}

// fly notes that a call is under way on its seat; nothing else is sent there until
// it was answered. send comes next. The claim's mutex is held.
func (c *Claim) fly(next *call) *call {
	if next == nil {
		return nil
	}
	s := &c.seats[next.Index]
	s.flying = next
	if next.Request.Verb.Releases() && !s.owing {
		s.blind = s.stuck > 0
	}
	return next
}

// send sends a call that flies, and those that follow from it as long as they fail at
// once. The claim's mutex is not held.
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
		c.seats[i].flying = nil
		c.heard(next.Request.Verb, false)
		last := next
		last.vote(node.Answer{Err: err, At: time.Now()}) // nothing was sent: nothing to learn
		next = c.fly(c.follow(i, last))
		last.over()
		c.mu.Unlock()
	}
}

// Answer implements node.Receiver.
func (last *call) Answer(_ *node.Call, a node.Answer) {
	c := last.claim // last may be another round's when it is answered
	c.send(c.answer(last, a))
}

// answer takes an answer in and returns what is to be sent next.
func (c *Claim) answer(last *call, a node.Answer) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := last.Index
	s := &c.seats[i]
	s.flying = nil // it was last: one flies at a time
	c.heard(last.Request.Verb, a.Answered())
	c.measure(&last.Call, a)
	c.compare(i, a, 0)
	s.learn(last.Request.Verb, a, c.lifetime(last))
	if s.twin && (a.Status == node.Granted || a.Status == node.Extended) {
		a.Status, a.Err = node.Failed, errTwin
	}
	if last.Request.Verb.Releases() {
		a = s.release(a)
	}
	last.vote(a)
	c.missing(s)
	next := c.fly(c.follow(i, last))
	// The client of a call that was given up still has it. It may have returned just
	// now, and Late come before this.
	if last.answered = true; !a.InClient || last.returned {
		last.over()
	}
	return next
}

// Late implements node.Receiver.
func (last *call) Late(_ *node.Call, a node.Answer) { last.claim.late(last, a) }

func (c *Claim) late(last *call, a node.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.measure(&last.Call, a)
	s := &c.seats[last.Index]
	c.compare(last.Index, a, 1)
	s.late(last.Request.Verb, a, c.lifetime(last))
	if s.owing {
		c.group.debts[last.Index].hurry(c)
	}
	if last.returned = true; last.answered {
		last.over()
	}
}

// lifetime is how long a key may live that the call sets now.
func (c *Claim) lifetime(sent *call) time.Duration {
	return quorum.Lifetime(sent.Request.TTL, c.group.drift)
}

// follow chooses what seat i does after the call last (nil if there was none).
// It returns nil if that is nothing. The claim's mutex is held.
func (c *Claim) follow(i int, last *call) *call {
	s := &c.seats[i]
	if next := s.waiting; next != nil {
		s.waiting = nil
		return next
	}
	if !c.released {
		if last.foundNoKey() && time.Now().Before(c.retake) {
			return c.background(i, node.Acquire, last.Request.TTL)
		}
		return nil
	}
	switch {
	case s.settled || s.owing:
	case !s.touched || last.released() && !s.blind && s.clean(c.group.nodes[i], last.Deadline.Made()):
		c.settle(i)
	case last == nil || !last.Request.Verb.Releases():
		verb, ttl := c.parting()
		return c.background(i, verb, ttl)
	case c.forgiven.Load():
		c.settle(i)
	case errors.Is(last.answer.Err, pool.ErrClosed):
		c.abandon(i)
	default: // a release that did not settle it
		s.owing = true
		s.clear()
		c.group.debts[i].add(c, i)
	}
	return nil
}

// put builds the question verb about the claim. If it is a release, the claim's
// mutex is held.
func (c *Claim) put(r *node.Request, verb node.Verb, lease node.Lease, ttl time.Duration) {
	var mark node.Mark
	switch {
	case verb == node.Wait || verb == node.Turn:
		mark = c.mark
	case verb == node.Release && (c.announce || c.mark.Line.Ticket > 0):
		if mark.Self = c.group.releaser; c.mark.Line.Ticket > 0 {
			mark.Self = c.group.self
		}
		mark.Line.Ticket, mark.Line.Lease, mark.Line.Back = c.mark.Line.Ticket, c.mark.Line.Lease, c.back
	}
	r.Set(verb, lease, ttl, mark)
}

// background makes a call that no round waits for.
func (c *Claim) background(i int, verb node.Verb, ttl time.Duration) *call {
	request := new(node.Request)
	lease := c.lease
	if verb == node.Acquire { // of a node that does not have it, of a lock that is held
		lease = lease.Again()
	}
	c.put(request, verb, lease, ttl)
	deadline := node.MakeDeadline(context.Background(), c.patience())
	sent := &call{claim: c}
	sent.Call = node.Call{Request: request, Deadline: &deadline, Receiver: sent, Index: i}
	return sent
}
