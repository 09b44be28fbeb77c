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
// node can carry it any more. It is about one key, or about several: then a node grants all of
// them or none, and denies the claim that has lost one there. What is said about the key holds
// for all of them.
//
// On every node its commands are ordered: the next is sent only when the one
// before was answered or given up. Once Release was called, every node ends
// without the value. A command that is still in flight there is followed by a
// release. A release that does not settle the node is repeated by the node's
// releaseQueue.
//
// Its methods are in the files claim*.go:
//
//	claim.go           ask for the key: acquire, swap, extend
//	claim_calls.go     the order of the commands on each node
//	claim_release.go   give the key up: release, roll back, settle
//	claim_repeat.go    what a node's releaseQueue asks of a claim
//	claim_retake.go    ask nodes that denied the key again
//	claim_min_hold.go  leave the key until a minimum time has passed
//	claim_position.go  the position in the wait queue
//	claim_slot.go      one of several keys, whichever a majority grants
//
// pace.go, same_server.go and closed_client.go have a method for what they are about.
type Claim struct {
	group      *Group
	entry      node.Entry
	fence      node.Fence    // part of entry, if it has one
	timeout    time.Duration // for a command, while the nodes are not slow
	maxTimeout time.Duration // for a command, while they are; see SetMaxTimeout

	mu          sync.Mutex // protects the rest and the rounds; taken before Node.mu
	states      []nodeState
	minHold     time.Duration   // see SetMinHold; written with the group's mutex held, too
	minHoldEnds time.Time       // until then the keys are not deleted; zero if they may be
	flag        node.WaiterFlag // the waiter flag that AcquireOrFlag and AcquireInTurn leave
	released    bool
	announce    bool          // releases notify the waiters
	requeue     bool          // the release puts the position back into the wait queue
	nextAttempt bool          // the next attempt has begun, and tells the nodes its position itself
	leftQueue   bool          // LeaveQueue gave the position up
	reached     int           // nodes that answered AcquireInTurn
	missed      int           // nodes that did not, as far as is known
	unsettled   int           // nodes that are not settled, once released
	retakeUntil time.Time     // until then nodes without the value are asked again
	noRetake    bool          // they are never asked again
	shared      atomic.Int32  // that of a reader: reads or readsToken; else 0
	chosen      atomic.Int32  // which slot of a semaphore it was granted, counted from 1; 0 if it is of none
	abandoned   atomic.Bool   // Settle gave up: releases are not repeated; set with mu held
	askTimer    *time.Timer   // runs askDenied
	askPause    time.Duration // before the timer fires
	askPending  bool          // the timer is set

	older, newer *Claim // in Group.requeuing, protected by the group's mutex
}

// A Storage is the memory of one claim on up to three nodes. The owner of the claim
// embeds it. The whole of the owner stays in memory until the claim is settled.
type Storage struct {
	claim  Claim
	states [3]nodeState
}

// NewClaim prepares an attempt to store value under key, and under further keys. A command for
// which no round waits gets timeout.
func (g *Group) NewClaim(key, value string, timeout time.Duration, more ...string) *Claim {
	return g.NewClaimIn(new(Storage), key, value, timeout, more...)
}

// NewClaimIn is NewClaim in storage that was not used before.
func (g *Group) NewClaimIn(storage *Storage, key, value string, timeout time.Duration, more ...string) *Claim {
	c := &storage.claim
	c.group, c.entry, c.timeout = g, g.scripts.NewEntry(key, value).And(more...), timeout
	c.states = slices.Grow(storage.states[:0], len(g.nodes))[:len(g.nodes)]
	return c
}

// Value is the value of the keys. It is a secret: with it the lock can be released.
func (c *Claim) Value() string { return c.entry.Value() }

// Key is the key on the nodes, the first one of several.
func (c *Claim) Key() string { return c.entry.Key() }

// Keys are all of them. Of slots it is the one that was granted.
func (c *Claim) Keys() []string {
	if chosen := c.chosen.Load(); chosen > 0 {
		return c.entry.Chosen(int(chosen) - 1).Keys()
	}
	return c.entry.Keys()
}

// OneAlone reports whether the claim is about one key, and to hold it alone: that of a plain lock.
func (c *Claim) OneAlone() bool {
	return c.entry.Grant() == node.OneKey && c.shared.Load() == 0 && c.chosen.Load() == 0
}

// Several reports whether the claim is about several keys.
func (c *Claim) Several() bool { return c.entry.Grant() == node.AllKeys }

// Share makes the claim that of a reader: before it asks for anything, or if it holds the key alone.
// Then the next extension makes it a reader on the nodes.
func (c *Claim) Share() { c.shared.Store(reads) }

// ShareFenced is Share before the claim asks for anything. Then it also asks for the largest token.
func (c *Claim) ShareFenced() { c.shared.Store(readsToken) }

// What Claim.shared is of a reader.
const (
	reads = 1 + iota
	readsToken
)

// IsShared reports whether it is that of a reader.
func (c *Claim) IsShared() bool { return c.shared.Load() > 0 }

// asked is the entry of the next request. c.mu is held if it is a release.
func (c *Claim) asked(verb node.Verb) node.Entry {
	switch chosen := c.chosen.Load(); {
	case c.shared.Load() > 0:
		return c.entry.Shared(c.shared.Load() == readsToken)
	case chosen > 0 && !(verb == node.Release && c.mayHaveStray()):
		return c.entry.Chosen(int(chosen) - 1)
	}
	return c.entry
}

// Replace names the value that Swap replaces. It comes before Swap.
func (c *Claim) Replace(former string) { c.entry = c.entry.Replacing(former) }

// Fair has the release notify the first in the wait queue, as a release after AcquireInTurn does.
// ttl is how long a node keeps a position.
func (c *Claim) Fair(ttl time.Duration) { c.flag.Position.TTL = ttl }

// Fence gives the claim a fencing token, before it asks for anything. The nodes
// remember the token for life.
func (c *Claim) Fence(token int64, life time.Duration) {
	c.entry = c.entry.Fenced(&c.fence, token, life)
}

// Acquire asks every node to set the key for ttl. The clients get the values of
// ctx, not its end.
func (c *Claim) Acquire(ctx context.Context, ttl time.Duration) *Round {
	return c.begin(newRound(ctx, node.Acquire, c, ttl, c.callTimeout()))
}

// AcquireOrFlag asks like Acquire. A node where the lock is taken says for how long, and leaves
// the waiter flag. If the lock is released there before the flag expires, the release
// notifies the waiter.
func (c *Claim) AcquireOrFlag(ctx context.Context, ttl time.Duration, flag node.WaiterFlag) *Round {
	c.flag = flag // the claim is not shared yet
	return c.begin(newRound(ctx, node.AcquireOrFlag, c, ttl, c.callTimeout()))
}

// AcquireInTurn asks like AcquireOrFlag, but a node refuses while another waiter is first in the wait
// queue, or in one of those of several keys.
func (c *Claim) AcquireInTurn(ctx context.Context, ttl time.Duration, flag node.WaiterFlag) *Round {
	c.flag = flag // the claim is not shared yet
	return c.begin(newRound(ctx, node.AcquireInTurn, c, ttl, c.callTimeout()))
}

// Swap asks every node that has the value named by Replace to store the claim's value
// in its place, for ttl from now. It may be repeated: a node that already has the
// claim's value says yes. A swap that was not answered has an unknown outcome, like an
// acquire.
func (c *Claim) Swap(ctx context.Context, ttl time.Duration) *Round {
	return c.begin(newRound(ctx, node.Swap, c, ttl, c.callTimeout()))
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

// Extend asks every node to prolong the key to ttl from now. A node that lost the key
// is asked to set it again, if it answers before retakeUntil. It does not count in this
// round: the majority that carries an extension must have held the lock without a gap.
func (c *Claim) Extend(ctx context.Context, ttl time.Duration, retakeUntil time.Time) *Round {
	r := newRound(ctx, node.Extend, c, ttl, c.callTimeout())
	c.mu.Lock()
	if !c.noRetake {
		c.retakeUntil = retakeUntil
	}
	c.enqueue(r)
	c.mu.Unlock()
	return c.sendAll(r)
}

// Held is the number of nodes that carry the value, as last known. A node that
// has confirmed nothing for a TTL does not count.
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

// OutcomeUnknown reports whether the outcome of a command is unknown on some node: that
// node may set or prolong the key later than its answers account for.
func (c *Claim) OutcomeUnknown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.states {
		if s := &c.states[i]; s.inFlight != nil || s.outstanding > 0 || s.extendUnknown || !s.unknownSince.IsZero() {
			return true
		}
	}
	return false
}
