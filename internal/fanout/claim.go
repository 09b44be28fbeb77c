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
	group      *Group
	lease      node.Lease
	fence      node.Fence    // part of lease, if it has one
	timeout    time.Duration // what a node gets for a command, if nodes are not slow
	maxTimeout time.Duration // and at most, see Patient

	mu          sync.Mutex // protects the rest and the rounds; taken before Node.mu
	states      []nodeState
	released    bool
	minHold     time.Duration // see Stay; written with the group's mutex held, too
	minHoldEnds time.Time     // until when the keys are not deleted; zero if they may be
	announce    bool          // releases are heard of by those who wait
	flag        node.Mark     // that Wait and Turn leave
	requeue     bool          // released on the way back into the line
	nextAttempt bool          // an attempt came after it, which says itself where it stands
	reached     int           // nodes that answered Turn
	missed      int           // nodes that did not, as far as is known
	unsettled   int           // seats not settled, once released
	retakeUntil time.Time     // until when nodes without the value are taken; see Keep
	noRetake    bool          // none is any more
	abandoned   atomic.Bool   // Settle gave up: releases are not repeated; set with mu held
	askTimer    *time.Timer   // asks those that denied it
	askPause    time.Duration // before it does
	askPending  bool          // it is set

	older, newer *Claim // in Group.goingBack, protected by the group's mutex
}

// A nodeState is the claim on one node.
type nodeState struct {
	inFlight             *call // neither answered nor given up
	next                 *call // comes next
	outstanding          int   // calls given up that are still with the client
	denied               bool  // the last answer: somebody else has the key, or comes first
	maybeSet             bool  // something was sent that may have set the key
	extendUnknown        bool  // an extension is of unknown fate
	held                 bool  // as last known, until kept
	heldUntil            time.Time
	duplicate            bool          // another node is the same server, and counts for both
	pendingRelease       bool          // handed over to debts
	settled              bool          // released, and the value cannot come back
	releasedByUs         bool          // a release of ours deleted the key, or may have
	sentWhileOutstanding bool          // the release under way was sent while a call was stuck
	gone                 chan struct{} // made by Gone, closed when settled or owing

	// An acquire of unknown fate leaves a unknownSince for a time, from when it was given up, or
	// the client returned from it (until then stuck > 0); see clean.
	unknownSince time.Time
	answeredThen time.Duration // that the node had done by then, see node.Pulse
	keyLifetime  time.Duration // of the lock's keys: so long a command may be on its way
	// Until when the key may live if nobody deletes it.
	mayLiveUntil time.Time
}

// A Storage is the memory of one claim on three nodes or fewer, for who has it as part of
// some other. All of that lives as long as the claim is not settled.
type Storage struct {
	claim  Claim
	states [3]nodeState
}

// NewClaim prepares an attempt to store value under key. Commands that no round
// waits for get timeout each.
func (g *Group) NewClaim(key, value string, timeout time.Duration) *Claim {
	return g.NewClaimIn(new(Storage), key, value, timeout)
}

// NewClaimIn is NewClaim in a room that was not used before.
func (g *Group) NewClaimIn(room *Storage, key, value string, timeout time.Duration) *Claim {
	c := &room.claim
	c.group, c.lease, c.timeout = g, g.scripts.NewLease(key, value), timeout
	c.states = slices.Grow(room.states[:0], len(g.nodes))[:len(g.nodes)]
	return c
}

// Acquire asks every node to set the key for ttl. The clients get the values of
// ctx, not its end.
func (c *Claim) Acquire(ctx context.Context, ttl time.Duration) *Round {
	return c.begin(newRound(ctx, node.Acquire, c, ttl, c.callTimeout()))
}

// Wait asks like Acquire. Nodes where the lock is taken say for how long, and
// publish its release if that comes before the mark is over.
func (c *Claim) Wait(ctx context.Context, ttl time.Duration, mark node.Mark) *Round {
	c.flag = mark // nobody else has the claim yet
	return c.begin(newRound(ctx, node.Wait, c, ttl, c.callTimeout()))
}

// Turn asks like Wait, but a node refuses as long as others come first in line.
func (c *Claim) Turn(ctx context.Context, ttl time.Duration, mark node.Mark) *Round {
	c.flag = mark // nobody else has the claim yet
	return c.begin(newRound(ctx, node.Turn, c, ttl, c.callTimeout()))
}

// Extend asks every node to prolong the key to ttl from now. A node that does
// not have it any more is taken again if it answers before retake; that does
// not count in this round: the majority that carries an extension must have
// held the lock without a gap.
func (c *Claim) Extend(ctx context.Context, ttl time.Duration, retake time.Time) *Round {
	r := newRound(ctx, node.Extend, c, ttl, c.callTimeout())
	c.mu.Lock()
	if !c.noRetake {
		c.retakeUntil = retake
	}
	c.enqueue(r)
	c.mu.Unlock()
	return c.sendAll(r)
}

// Release asks every node to delete the key, and goes on until it is gone
// everywhere. Those who wait for it hear of it. It may be repeated. Keys that are to
// [Claim.SetMinHold] expire instead.
func (c *Claim) Release(ctx context.Context) *Round { return c.sendAll(c.releaseRound(ctx)) }

// ReleaseInBackground is Release for who does not wait for it.
func (c *Claim) ReleaseInBackground() {
	r := c.releaseRound(context.Background())
	r.alone = false
	c.sendAll(r)
}

func (c *Claim) releaseRound(ctx context.Context) *Round {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.announce = true
	c.beginRelease()
	verb, ttl := c.releaseVerb()
	r := newRound(ctx, verb, c, ttl, c.callTimeout())
	c.enqueue(r)
	return r
}

// ExpectRelease notes that Release or Undo comes next: Settle waits for that.
func (c *Claim) ExpectRelease() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.released {
		c.group.track(c)
	}
}

// Released reports whether Release or Undo has begun.
func (c *Claim) Released() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.released
}

// RollBack is Release for an attempt that failed: it leaves out nodes where nothing
// was sent that could have set the key, there is nothing to wait for, and nobody
// hears of it: contenders that undid their attempts would wake each other for
// ever.
func (c *Claim) RollBack() { c.rollBack(false) }

// RollBackForRetry is Undo for an attempt that will be followed by another: where it was
// granted it goes back into the line.
func (c *Claim) RollBackForRetry() { c.rollBack(true) }

func (c *Claim) rollBack(back bool) {
	due := make([]*call, 0, 8)
	c.mu.Lock()
	c.requeue = back
	c.beginRelease()
	for i := range c.states {
		if s := &c.states[i]; s.inFlight == nil && !s.settled && !s.pendingRelease {
			due = append(due, c.setInFlight(c.nextCall(i, nil)))
		}
	}
	c.mu.Unlock()
	for _, next := range due {
		c.send(next)
	}
}

func (c *Claim) beginRelease() {
	if !c.released {
		c.released = true
		c.unsettled = len(c.states)
		c.stopAsking()
		c.group.track(c)
	}
}

// Held is the number of nodes that carry the value, as last known. A node that
// has confirmed nothing for a TTL does not.
func (c *Claim) Held() int {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for i := range c.states {
		if s := &c.states[i]; s.held && !s.duplicate && s.heldUntil.After(now) {
			n++
		}
	}
	return n
}

func (c *Claim) begin(r *Round) *Round {
	c.mu.Lock()
	life := quorum.Lifetime(r.request.TTL, c.group.drift)
	for i := range c.states {
		c.states[i].keyLifetime = life
	}
	c.enqueue(r)
	c.mu.Unlock()
	return c.sendAll(r)
}
