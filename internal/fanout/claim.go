package fanout

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
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
	fence   node.Fence    // part of lease, if it has one
	timeout time.Duration // what a node gets for a command, if nodes are not slow
	most    time.Duration // and at most, see Patient

	mu       sync.Mutex // protects the rest and the rounds; taken before Node.mu
	seats    []seat
	released bool
	stay     time.Duration // see Stay; written with the group's mutex held, too
	stays    time.Time     // until when the keys are not deleted; zero if they may be
	announce bool          // releases are heard of by those who wait
	mark     node.Mark     // that Wait and Turn leave
	back     bool          // released on the way back into the line
	followed bool          // an attempt came after it, which says itself where it stands
	reached  int           // nodes that answered Turn
	missed   int           // nodes that did not, as far as is known
	open     int           // seats not settled, once released
	retake   time.Time     // until when nodes without the value are taken; see Keep
	over     bool          // none is any more
	forgiven atomic.Bool   // Settle gave up: releases are not repeated; set with mu held
	again    *time.Timer   // asks those that denied it
	pause    time.Duration // before it does
	asking   bool          // it is set

	older, newer *Claim // in Group.goingBack, protected by the group's mutex
}

// A seat is the claim on one node.
type seat struct {
	flying  *call // neither answered nor given up
	waiting *call // comes next
	stuck   int   // calls given up that are still with the client
	denied  bool  // the last answer: somebody else has the key, or comes first
	touched bool  // something was sent that may have set the key
	loose   bool  // an extension is of unknown fate
	held    bool  // as last known, until kept
	kept    time.Time
	twin    bool          // another node is the same server, and counts for both
	owing   bool          // handed over to debts
	settled bool          // released, and the value cannot come back
	freed   bool          // a release of ours deleted the key, or may have
	blind   bool          // the release under way was sent while a call was stuck
	cleared chan struct{} // made by Gone, closed when settled or owing

	// An acquire of unknown fate leaves a doubt for a time, from when it was given up, or
	// the client returned from it (until then stuck > 0); see clean.
	doubt time.Time
	work  time.Duration // that the node had done by then, see node.Pulse
	life  time.Duration // of the lock's keys: so long a command may be on its way
	// Until when the key may live if nobody deletes it.
	alive time.Time
}

// A Room is the memory of one claim on three nodes or fewer, for who has it as part of
// some other. All of that lives as long as the claim is not settled.
type Room struct {
	claim Claim
	seats [3]seat
}

// NewClaim prepares an attempt to store value under key. Commands that no round
// waits for get timeout each.
func (g *Group) NewClaim(key, value string, timeout time.Duration) *Claim {
	return g.NewClaimIn(new(Room), key, value, timeout)
}

// NewClaimIn is NewClaim in a room that was not used before.
func (g *Group) NewClaimIn(room *Room, key, value string, timeout time.Duration) *Claim {
	c := &room.claim
	c.group, c.lease, c.timeout = g, g.scripts.NewLease(key, value), timeout
	c.seats = slices.Grow(room.seats[:0], len(g.nodes))[:len(g.nodes)]
	return c
}

// Acquire asks every node to set the key for ttl. The clients get the values of
// ctx, not its end.
func (c *Claim) Acquire(ctx context.Context, ttl time.Duration) *Round {
	return c.begin(newRound(ctx, node.Acquire, c, ttl, c.patience()))
}

// Wait asks like Acquire. Nodes where the lock is taken say for how long, and
// publish its release if that comes before the mark is over.
func (c *Claim) Wait(ctx context.Context, ttl time.Duration, mark node.Mark) *Round {
	c.mark = mark // nobody else has the claim yet
	return c.begin(newRound(ctx, node.Wait, c, ttl, c.patience()))
}

// Turn asks like Wait, but a node refuses as long as others come first in line.
func (c *Claim) Turn(ctx context.Context, ttl time.Duration, mark node.Mark) *Round {
	c.mark = mark // nobody else has the claim yet
	return c.begin(newRound(ctx, node.Turn, c, ttl, c.patience()))
}

// Extend asks every node to prolong the key to ttl from now. A node that does
// not have it any more is taken again if it answers before retake; that does
// not count in this round: the majority that carries an extension must have
// held the lock without a gap.
func (c *Claim) Extend(ctx context.Context, ttl time.Duration, retake time.Time) *Round {
	r := newRound(ctx, node.Extend, c, ttl, c.patience())
	c.mu.Lock()
	if !c.over {
		c.retake = retake
	}
	c.start(r)
	c.mu.Unlock()
	return c.launch(r)
}

// Release asks every node to delete the key, and goes on until it is gone
// everywhere. Those who wait for it hear of it. It may be repeated. Keys that are to
// [Claim.Stay] expire instead.
func (c *Claim) Release(ctx context.Context) *Round { return c.launch(c.releasing(ctx)) }

// Part is Release for who does not wait for it.
func (c *Claim) Part() {
	r := c.releasing(context.Background())
	r.alone = false
	c.launch(r)
}

func (c *Claim) releasing(ctx context.Context) *Round {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announce = true
	c.release()
	verb, ttl := c.parting()
	r := newRound(ctx, verb, c, ttl, c.patience())
	c.start(r)
	return r
}

// Owe notes that Release or Undo comes next: Settle waits for that.
func (c *Claim) Owe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.released {
		c.group.owe(c)
	}
}

// Released reports whether Release or Undo has begun.
func (c *Claim) Released() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.released
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
	due := make([]*call, 0, 8)
	c.mu.Lock()
	c.back = back
	c.release()
	for i := range c.seats {
		if s := &c.seats[i]; s.flying == nil && !s.settled && !s.owing {
			due = append(due, c.fly(c.follow(i, nil)))
		}
	}
	c.mu.Unlock()
	for _, next := range due {
		c.send(next)
	}
}

func (c *Claim) release() {
	if !c.released {
		c.released = true
		c.open = len(c.seats)
		c.rest()
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
		if s := &c.seats[i]; s.held && !s.twin && s.kept.After(now) {
			n++
		}
	}
	return n
}

func (c *Claim) begin(r *Round) *Round {
	c.mu.Lock()
	life := quorum.Lifetime(r.request.TTL, c.group.drift)
	for i := range c.seats {
		c.seats[i].life = life
	}
	c.start(r)
	c.mu.Unlock()
	return c.launch(r)
}
