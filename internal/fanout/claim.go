package fanout

import (
	"context"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A Claim is one attempt's value on all nodes, from the first command until no
// node can carry it any more.
//
// On every node its commands are ordered: the next is sent only when the one
// before was answered or given up. Once Release was called, every node ends
// without the value: whatever is still under way there is followed by a
// release, and a release that does not settle the node is repeated (debts).
type Claim struct {
	group   *Group
	lease   node.Lease
	timeout time.Duration // what a node gets for commands that no round waits for

	mu       sync.Mutex // protects the rest and the rounds; taken before Node.mu
	seats    []seat
	released bool
	announce bool      // releases are heard of by those who wait
	mark     node.Mark // that Wait and Turn leave
	back     bool      // released on the way back into the line
	reached  int       // nodes that answered Turn
	missed   int       // nodes that did not, as far as is known
	open     int       // seats not settled, once released
	retake   time.Time // until when nodes that lost the value are taken again
}

// A seat is the claim on one node.
type seat struct {
	flying  *call // neither answered nor given up
	waiting *call // comes next
	stuck   int   // calls given up that are still with the client
	touched bool  // something was sent that may have set the key
	held    bool  // as last known, until kept
	kept    time.Time
	owing   bool          // handed over to debts
	settled bool          // released, and the value cannot come back
	freed   bool          // a release of ours deleted the key, or may have
	blind   bool          // the release under way was sent while a call was stuck
	cleared chan struct{} // made by Gone, closed when settled or owing

	// An acquire of unknown fate leaves a doubt until then, if the node answers
	// meanwhile; see clean. While stuck > 0 there is no such moment yet.
	doubt time.Time
	life  time.Duration // of the key that it may set
	// Until when the key may live if nobody deletes it.
	alive time.Time
}

// NewClaim prepares an attempt to store value under key. Commands that no round
// waits for get timeout each.
func (g *Group) NewClaim(key, value string, timeout time.Duration) *Claim {
	return &Claim{
		group:   g,
		lease:   node.NewLease(key, value),
		timeout: timeout,
		seats:   make([]seat, len(g.nodes)),
	}
}

// Acquire asks every node to set the key for ttl. The clients get the values of
// ctx, not its end.
func (c *Claim) Acquire(ctx context.Context, ttl time.Duration) *Round {
	return c.begin(newRound(ctx, node.Acquire, c, ttl, c.timeout))
}

// Wait asks like Acquire. Nodes where the lock is taken say for how long, and
// publish its release if that comes before the mark is over.
func (c *Claim) Wait(ctx context.Context, ttl time.Duration, mark node.Mark) *Round {
	c.mark = mark // nobody else has the claim yet
	return c.begin(newRound(ctx, node.Wait, c, ttl, c.timeout))
}

// Turn asks like Wait, but a node refuses as long as others come first in line.
func (c *Claim) Turn(ctx context.Context, ttl time.Duration, mark node.Mark) *Round {
	c.mark = mark // nobody else has the claim yet
	return c.begin(newRound(ctx, node.Turn, c, ttl, c.timeout))
}

// Extend asks every node to prolong the key to ttl from now. A node that does
// not have it any more is taken again if it answers before retake; that does
// not count in this round: the majority that carries an extension must have
// held the lock without a gap.
func (c *Claim) Extend(ctx context.Context, ttl time.Duration, retake time.Time) *Round {
	r := newRound(ctx, node.Extend, c, ttl, c.timeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retake = retake
	return c.start(r)
}

// Release asks every node to delete the key, and goes on until it is gone
// everywhere. Those who wait for it hear of it. It may be repeated.
func (c *Claim) Release(ctx context.Context) *Round {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announce = true
	c.release()
	return c.start(newRound(ctx, node.Release, c, 0, c.timeout))
}

// Undo is Release for an attempt that failed: it leaves out nodes where nothing
// was sent that could have set the key, there is nothing to wait for, and nobody
// hears of it: contenders that undid their attempts would wake each other for
// ever.
func (c *Claim) Undo() { c.undo(false) }

// Retreat is Undo for an attempt that will be followed by another: where it was
// granted it goes back into the line.
func (c *Claim) Retreat() { c.undo(true) }

func (c *Claim) undo(back bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.back = back
	c.release()
	for i := range c.seats {
		if s := &c.seats[i]; s.flying == nil && !s.settled && !s.owing {
			c.run(i, c.follow(i, nil))
		}
	}
}

func (c *Claim) release() {
	if !c.released {
		c.released = true
		c.open = len(c.seats)
		c.group.owe(c)
	}
}

// Held is the number of nodes that carry the value, as last known. A node that
// has confirmed nothing for a TTL does not.
func (c *Claim) Held() int {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for i := range c.seats {
		if s := &c.seats[i]; s.held && s.kept.After(now) {
			n++
		}
	}
	return n
}

func (c *Claim) begin(r *Round) *Round {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start(r)
}

// start sends the round's calls to the seats that are free, and has the others
// send theirs next. The claim's mutex is held.
func (c *Claim) start(r *Round) *Round {
	for i := range c.seats {
		next, s := &r.calls[i], &c.seats[i]
		if c.released && r.request.Verb != node.Release {
			// It must not take the place of the release.
			next.vote(node.Answer{Err: errSuperseded})
			continue
		}
		if s.flying == nil {
			c.run(i, next)
			continue
		}
		if s.waiting != nil {
			s.waiting.vote(node.Answer{Err: errSuperseded})
		}
		s.waiting = next
	}
	return r
}

// run starts a call on seat i, and the ones that follow from it as long as they
// fail at once. The claim's mutex is held.
func (c *Claim) run(i int, next *call) {
	s := &c.seats[i]
	for next != nil {
		s.flying = next
		if next.Request.Verb == node.Release && !s.owing {
			s.blind = s.stuck > 0
		}
		err := c.group.nodes[i].Start(&next.Call)
		if err == nil {
			return
		}
		s.flying = nil
		c.heard(next.Request.Verb, false)
		next.vote(node.Answer{Err: err}) // nothing was sent: nothing to learn
		next = c.follow(i, next)
	}
}

// Answer implements node.Receiver.
func (c *Claim) Answer(nc *node.Call, a node.Answer) {
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
	c.run(i, c.follow(i, last))
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

// request builds the question verb about the claim. If it is a release, the
// claim's mutex is held.
func (c *Claim) request(verb node.Verb, ttl time.Duration) node.Request {
	var mark node.Mark
	switch {
	case verb == node.Wait || verb == node.Turn:
		mark = c.mark
	case verb == node.Release && (c.announce || c.mark.Line.Ticket > 0):
		mark.Self = c.group.self
		mark.Line.Ticket, mark.Line.Back = c.mark.Line.Ticket, c.back
	}
	return node.NewRequest(verb, c.lease, ttl, mark)
}

// background makes a call that no round waits for.
func (c *Claim) background(i int, verb node.Verb, ttl time.Duration) *call {
	request := c.request(verb, ttl)
	deadline := node.MakeDeadline(context.Background(), c.timeout)
	return &call{Call: node.Call{Request: &request, Deadline: &deadline, Receiver: c, Index: i}}
}
