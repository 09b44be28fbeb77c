package fanout

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// How the calls of a claim are put in order: on every seat one at a time, each
// followed by what the answers and the end of the claim call for.

// start has the round's calls fly on the seats that are free, and follow on the
// others. launch comes next, without the claim's mutex, which is held here: to send
// takes as long as a system call, and answers come meanwhile.
func (c *Claim) start(r *Round) {
	for i := range c.seats {
		next, s := &r.calls[i], &c.seats[i]
		if c.released && r.request.Verb != node.Release {
			// It must not take the place of the release.
			next.vote(node.Answer{Err: errSuperseded})
			continue
		}
		if s.flying == nil {
			c.fly(next)
			next.due = true
			continue
		}
		switch {
		case s.waiting == nil:
		case s.waiting.Request.Verb == node.Release: // and so is this one: the later is sent for both
			next.also = s.waiting
		default:
			s.waiting.vote(node.Answer{Err: errSuperseded})
		}
		s.waiting = next
	}
}

func (c *Claim) launch(r *Round) *Round {
	for i := range r.calls {
		if r.calls[i].due {
			c.send(&r.calls[i])
		}
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
	if next.Request.Verb == node.Release && !s.owing {
		s.blind = s.stuck > 0
	}
	return next
}

// send sends a call that flies, and those that follow from it as long as they fail at
// once. The claim's mutex is not held.
func (c *Claim) send(next *call) {
	for next != nil {
		i := next.Index
		err := c.group.nodes[i].Start(&next.Call)
		if err == nil {
			return
		}
		c.mu.Lock()
		c.seats[i].flying = nil
		c.heard(next.Request.Verb, false)
		next.vote(node.Answer{Err: err}) // nothing was sent: nothing to learn
		next = c.fly(c.follow(i, next))
		c.mu.Unlock()
	}
}

// Answer implements node.Receiver.
func (c *Claim) Answer(nc *node.Call, a node.Answer) {
	c.send(c.answer(nc, a))
}

// answer takes an answer in and returns what is to be sent next.
func (c *Claim) answer(nc *node.Call, a node.Answer) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := nc.Index
	s := &c.seats[i]
	last := s.flying // the call that nc is part of: one flies at a time
	s.flying = nil
	c.heard(nc.Request.Verb, a.Answered())
	s.learn(nc.Request.Verb, a, c.lifetime(nc))
	if nc.Request.Verb == node.Release {
		a = s.release(a)
	}
	last.vote(a)
	c.missing(s)
	return c.fly(c.follow(i, last))
}

// Late implements node.Receiver.
func (c *Claim) Late(nc *node.Call, a node.Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.seats[nc.Index]
	s.late(nc.Request.Verb, a, c.lifetime(nc))
	if s.owing {
		c.group.debts[nc.Index].hurry(c)
	}
}

// lifetime is how long a key may live that the call sets now.
func (c *Claim) lifetime(nc *node.Call) time.Duration {
	return quorum.Lifetime(nc.Request.TTL, c.group.drift)
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
	case !s.touched || last.released() && !s.blind && s.clean(c.group.nodes[i]):
		c.settle(i)
	case last == nil || last.Request.Verb != node.Release:
		return c.background(i, node.Release, 0)
	default: // a release that did not settle it
		s.owing = true
		s.clear()
		c.group.debts[i].add(c, i)
	}
	return nil
}

// put builds the question verb about the claim. If it is a release, the claim's
// mutex is held.
func (c *Claim) put(r *node.Request, verb node.Verb, ttl time.Duration) {
	var mark node.Mark
	switch {
	case verb == node.Wait || verb == node.Turn:
		mark = c.mark
	case verb == node.Release && (c.announce || c.mark.Line.Ticket > 0):
		mark.Self = c.group.self
		mark.Line.Ticket, mark.Line.Back = c.mark.Line.Ticket, c.back
	}
	r.Set(verb, c.lease, ttl, mark)
}

// background makes a call that no round waits for.
func (c *Claim) background(i int, verb node.Verb, ttl time.Duration) *call {
	request := new(node.Request)
	c.put(request, verb, ttl)
	deadline := node.MakeDeadline(context.Background(), c.timeout)
	return &call{Call: node.Call{Request: request, Deadline: &deadline, Receiver: c, Index: i}}
}
