package redlock

import (
	"context"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// Handing a lock over.
//
// The keys stay where they are from Handle to Attach, so no other caller can get the lock in
// between. But two processes must not go on with one handle. Both know the value that the
// keys hold, so an extension would succeed for both. Therefore Attach replaces that value by
// one of its own, on every node that still has the old one, in one script. Two majorities
// share a node, and that node gives up the old value once. So at most one of all Attach calls
// has a majority. The others find another value there, and their first round says that they
// do not hold the lock.
//
// A swap whose reply is lost may have been carried out. It may be repeated, since a node
// that has the new value says yes: no other process knows that value. So Attach repeats the round
// with the same value until a majority has said yes, or one has denied it, or no validity
// would be left. Validity counts from before the first of these rounds, since a yes may be
// about the first.
//
// When Attach gives up, what it swapped is released, like an attempt that failed: a swap of
// unknown outcome that is carried out late is followed by a release there. It is not swapped
// back. A second Attach would then succeed more often. But the old value would return to
// nodes on which another Attach had found it missing, and which had it on the others: a used
// handle could be used again. The price is that an Attach that fails halfway can end the
// lock. That costs the work a wait, and lets no second holder in.
//
// The wrong order would be to ask whether the lock is held, and to swap then: it may expire
// in between. And to hand over before the first holder has stopped would make two: so
// Handle ends the context of the lock before it returns the bytes.

// Handle ends the lock for this process, and returns a handle with which another
// process goes on, see [Locker.Attach]. The nodes keep the lock for the validity that
// is left, and Until stays as it was. The other process must attach in that time. No
// other caller can get the lock meanwhile.
//
// The context of the lock ends with [ErrHandedOver], and renewals stop. Extend, Unlock
// and another Handle return an error that matches [ErrNotHeld] and [ErrHandedOver]. They
// send nothing, so nothing is released. A function in [Locker.Do] that hands its lock
// over should return. Do then returns its error.
//
// The handle is a secret: it can take the lock over, or release it. Do not log it, and
// send it only on a way on which you would send a password. It works on Lockers of the
// same nodes, in any order, and prefix ([WithPrefix]). It has the name, the token and
// the options of the lock. It says how much validity was left, and no time of day, so
// clocks may differ: the nodes say whether the lock has expired. It is binary, and some
// 250 bytes longer at most than prefix, name and label together.
//
// The error matches [ErrNotHeld] if the lock had ended. Locks of [Locker.LockAll]
// and [Locker.RLock] cannot be handed over. If the name and the prefix have
// more than about 64 KiB, the lock cannot be handed over: the error matches none of the
// Err values, and the lock is held as before. Handle does not wait. It sends
// nothing, unless [WithFair] is set: then it gives up the position of this Locker in the wait
// queue, in the background.
func (k *Lock) Handle() ([]byte, error) {
	if k == nil {
		return nil, nilLock("hand over")
	}
	if k.claim.Several() {
		return nil, fmt.Errorf("redlock: hand over %q: several locks that were taken at once cannot be handed over: take one lock that stands for all", k.name)
	}
	if k.claim.IsShared() {
		return nil, fmt.Errorf("redlock: hand over %q: a lock that is shared with other readers cannot be handed over: let the other process call RLock itself, before you unlock this one", k.name)
	}
	if !k.claim.OneAlone() {
		return nil, fmt.Errorf("redlock: hand over %q: the slot of a semaphore cannot be handed over: let the other process acquire one itself", k.name)
	}
	h := &handle{
		nodes: k.locker.group.Len(), prefix: k.locker.config.prefix, name: k.name, value: k.claim.Value(),
		ttl: k.settings.ttl, maxHold: k.settings.maxHold, minHold: k.settings.minHold,
		tokenLife: k.settings.tokenLife, lease: k.settings.positionTTL,
		token: k.token,
	}
	for mode, on := range map[byte]bool{keptAlive: k.settings.keepAlive, fairly: k.settings.fair, fenced: k.settings.fencing} {
		if on {
			h.modes |= mode
		}
	}
	const numbers = 200 // more than all of them take
	if long := len(h.prefix) + len(h.name) + len(h.value) + numbers; long > maxHandle {
		return nil, fmt.Errorf("redlock: hand over %.40q: the name and the prefix have %d bytes, which is too long for a handle: use a shorter name", k.name, len(h.prefix)+len(h.name))
	}
	var cause error
	if h.left, h.held, cause = k.lease.HandOver(); cause != nil {
		return nil, k.notHeld("hand over", cause)
	}
	k.claim.LeaveQueue()
	return h.encode(), nil
}

// Attach goes on with a lock that another process has handed over, see [Lock.Handle].
// When it returns a Lock, a majority of the nodes has confirmed the lock and extended
// it. The lock has its options and its token as before, so it is kept alive again if it
// was. It has the label of this Locker, and the values of ctx. It can be handed over
// again.
//
// A handle works once. If several processes attach with one handle, at most one of them
// gets the lock. If they do so at the same moment, it may be that none gets it. The error
// of the others matches [ErrNotHeld]. It also matches ErrNotHeld if the lock had expired
// or was released, or if the nodes are not those of the handle.
//
// Attach asks again while too few nodes answer, for as long as validity can be left.
// The error matches [ErrNoQuorum] when that time is over, and ctx.Err() if ctx ended
// first. In both cases Attach rolls back what it did. That may end the lock, so the
// error of another Attach with the handle may match ErrNotHeld. After [Locker.Close]
// the error matches [ErrClosed].
//
// Attach refuses a handle that is damaged, of another version, or of a Locker with
// another prefix or number of nodes, or whose options do not fit this Locker. The error
// says which, and matches none of the Err values. Nothing was sent then. No error shows
// the handle.
//
// The time between Handle and Attach counts neither for [WithMaxHold] nor for
// [WithMinHold]. It is less than the TTL.
func (l *Locker) Attach(ctx context.Context, handle []byte) (*Lock, error) {
	h, err := decode(handle)
	if err != nil {
		return nil, fmt.Errorf("redlock: attach: %w", err)
	}
	s, key, err := l.fits(h)
	if err != nil {
		return nil, err
	}
	if err := l.enter(); err != nil {
		return nil, fmt.Errorf("redlock: attach %q: %w", h.name, err)
	}
	defer l.leave()

	lock := &Lock{locker: l, name: h.name, settings: s, token: h.token}
	claim := l.group.NewClaimIn(&lock.storage, key, newValue(l.config.owner), s.nodeTimeout)
	lock.claim = claim
	claim.SetMaxTimeout(s.patience())
	claim.Replace(h.value)
	if s.fencing {
		claim.Fence(h.token, s.tokenLife)
	}
	if s.fair {
		claim.Fair(s.placeLease())
	}
	sent := l.clock.Read()
	ttl, err := lock.lease.Resume(l.keeper, lock.grant(ctx, false), l.terms(s), sent, h.held)
	if err != nil {
		return nil, fmt.Errorf("redlock: attach %q: %w: %w of %v", h.name, ErrNotHeld, err, s.maxHold)
	}
	if err := l.swap(ctx, lock, sent, ttl, h.left); err != nil {
		claim.RollBack()
		return nil, err
	}
	claim.RetakeUntil(time.Now().Add(lock.lease.Remaining(l.clock.Read()))) // nobody else has the lock yet
	if err := l.begin(lock); err != nil {
		return nil, err
	}
	if left := s.minHold - h.held; left > 0 {
		claim.SetMinHold(left)
	}
	return lock, nil
}

// swap repeats the round that takes a lock over until its outcome is certain. left was its
// validity when it was handed over: once that has passed without an extension, the lock has
// expired.
func (l *Locker) swap(ctx context.Context, k *Lock, sent clock.Reading, ttl, left time.Duration) error {
	var last error
	for {
		if ctx.Err() != nil {
			return interrupted(ctx, "attach", k.name, last)
		}
		begun := l.clock.Read()
		result, decided := k.claim.Swap(ctx, ttl).Wait(ctx)
		if !decided {
			return interrupted(ctx, "attach", k.name, last)
		}
		now := l.clock.Read()
		switch {
		case result.Outcome == quorum.Won && k.lease.Remaining(now) > 0:
			last = nil
		case result.Denied():
			last = newQuorumError("attach", k.name, ErrNotHeld, l.group, result, nil)
		default:
			last = newQuorumError("attach", k.name, ErrNoQuorum, l.group, result, nil)
		}
		again := last != nil && !result.Denied() && (result.Yes > 0 || now.Since(sent) < left)
		l.traceRound("attach", k.name, result.Yes, begun, last)
		result.Done()
		switch pause := k.settings.pauses.Delay(); {
		case !again, k.lease.Remaining(now) <= pause:
			return last
		case !l.hub.Pause(ctx, pause) && ctx.Err() == nil:
			return fmt.Errorf("redlock: attach %q: %w; the last attempt: %w", k.name, ErrClosed, last)
		}
	}
}

// fits returns the settings and the key of a lock that was handed over, or why this Locker
// cannot go on with it.
func (l *Locker) fits(h *handle) (s *settings, key string, err error) {
	switch n := l.group.Len(); {
	case h.prefix != l.config.prefix:
		return s, "", fmt.Errorf("redlock: attach %q: the lock was taken with the prefix %.40q, and this Locker has %.40q: use the same WithPrefix", h.name, h.prefix, l.config.prefix)
	case h.nodes != n:
		return s, "", fmt.Errorf("redlock: attach %q: the lock was taken on %d nodes, and this Locker has %d: use the same nodes", h.name, h.nodes, n)
	}
	if key, err = keyOf(l.config.prefix, h.name); err != nil {
		return s, "", err
	}
	s, err = l.config.settings.changed(h.options(), l.config.drift)
	if err != nil {
		return s, "", fmt.Errorf("redlock: attach %q: the options of the lock do not fit this Locker: %w", h.name, err)
	}
	return s, key, nil
}
