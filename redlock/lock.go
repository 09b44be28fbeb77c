package redlock

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/lease"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/internal/waiting"
)

// A Lock is one acquisition of a lock. It is safe for concurrent use. A nil Lock, which
// comes with an error, is not held. Its methods say so, and none panics.
type Lock struct {
	locker   *Locker
	name     string
	claim    *fanout.Claim
	room     fanout.Storage // of claim
	settings *settings
	token    int64          // 0 without fencing
	entry    *waiting.Entry // in the wait queue, until it is released; nil for TryLock and WithFair
	lease    lease.Lease
	unlocked atomic.Bool // an Unlock was confirmed
}

// Name returns the name of the lock, "" of a nil Lock.
func (k *Lock) Name() string {
	if k == nil {
		return ""
	}
	return k.name
}

// String names the lock. It does not show its value, which is a secret.
func (k *Lock) String() string {
	if k == nil {
		return "no lock"
	}
	return fmt.Sprintf("lock %q", k.name)
}

// GoString is String.
func (k *Lock) GoString() string { return k.String() }

// nilLock is the error of a method of no lock.
func nilLock(op string) error {
	return fmt.Errorf("redlock: %s: %w: the Lock is nil: the error that came with it says why", op, ErrNotHeld)
}

// Until returns the end of the validity window: start + TTL - (TTL x drift factor + 2 ms).
// Start is the time just before the first send of the attempt, or of the last extension.
// After a suspend of the machine, or when its clock was set forward, it moves back by as
// much. For a nil Lock it is the zero time.
func (k *Lock) Until() time.Time {
	if k == nil {
		return time.Time{}
	}
	return k.lease.Until()
}

// Held returns the number of nodes that hold the lock, as last known, and the number of all
// nodes. A node holds it if it confirmed that within the last TTL. A lock is granted as soon
// as a majority holds it, and the other nodes count when they answer. While the lock is
// held, nodes that denied it are asked again, and extensions take nodes again that lost it.
// No node holds a lock that has ended. For a nil Lock it is 0 of 0.
func (k *Lock) Held() (held, total int) {
	if k == nil {
		return 0, 0
	}
	if k.lease.Look() == nil {
		held = k.claim.Held()
	}
	return held, k.locker.group.Len()
}

// Token returns the fencing token of the lock. It is 0 without [WithFencing], and for a nil
// Lock. The token stays the same as long as the lock is held. Every later acquisition of
// the name with WithFencing has a larger one; docs/guarantees.md names the exceptions. So
// the database that the lock protects can reject a holder that was delayed until another one
// had the lock: see package fence, and "How to do distributed locking" (Kleppmann, 2016). A
// token that is not compared protects nothing.
//
// A majority of the nodes has stored the token before the lock is granted. It is below
// 2^53. It is about the time of the nodes in microseconds since 1970; do not rely on that.
func (k *Lock) Token() uint64 {
	if k == nil {
		return 0
	}
	return uint64(k.token)
}

// Unlock releases the lock on all nodes. It returns nil once a majority confirmed that it
// no longer has the lock. The other nodes are released in the background, however late they
// answer.
//
// The error matches [ErrNotHeld] if the lock had expired, was lost, or had been unlocked
// before: another holder may have had it meanwhile. It matches [ErrNoQuorum] if too few
// nodes confirmed within the node timeout, and [context.DeadlineExceeded] if the deadline of
// ctx passed first. Then the release goes on in the background, and another Unlock waits for
// it.
//
// A cancelled ctx changes nothing, and neither does a deadline that passed before the call:
// a program unlocks with such a ctx when it ends. Unlock then takes one node timeout at
// most. The same holds for a ctx that stems from the lock's own context.
//
// The error of a nil Lock matches ErrNotHeld. So does that of a lock that was handed over
// ([Lock.Handle]), which stays as it is.
//
// Before [WithMinHold] has passed, Unlock leaves the keys for the rest of that time. Then
// nil says that a majority confirmed that.
func (k *Lock) Unlock(ctx context.Context) error {
	if k == nil {
		return nilLock("unlock")
	}
	begin := k.locker.clock.Read()
	cause, valid := k.lease.Release(begin)
	expired := cause == ErrClosed && !valid
	switch {
	case cause == ErrHandedOver:
		return k.notHeld("unlock", cause)
	case k.unlocked.Load():
		return fmt.Errorf("redlock: unlock %q: %w: it was unlocked before", k.name, ErrNotHeld)
	case cause != ErrReleased && cause != ErrClosed || expired:
		k.claim.RollBack() // harmless where the key is gone, and kind where it is not
		if expired {
			cause = ErrExpired
		}
		return fmt.Errorf("redlock: unlock %q: %w: %w", k.name, ErrNotHeld, cause)
	}

	defer k.entry.Leave()
	if k.settings.minHold > 0 && k.claim.WithinMinHold() {
		k.claim.LeaveQueue(newValue(k.locker.config.owner))
	}
	// A cancellation does not end the wait. The release is on its way, so there is little
	// to wait for, and the truth to be told: an error would read as a lock that is left.
	result, decided := k.claim.Release(ctx).WaitByDeadline(ctx)
	defer result.Done()
	if !decided {
		return fmt.Errorf("redlock: unlock %q: %w before a majority confirmed; the release goes on in the background", k.name, context.DeadlineExceeded)
	}
	k.entry.Released(result.OtherWaiter(), k.locker.clock.Read().Since(begin))
	var err error
	switch {
	case result.Outcome == quorum.Won:
		k.unlocked.Store(true)
	case result.Denied():
		err = newQuorumError("unlock", k.name, ErrNotHeld, k.locker.group, result)
	default:
		err = newQuorumError("unlock", k.name, ErrNoQuorum, k.locker.group, result)
	}
	k.locker.traceRound("unlock", k.name, result.Yes, begin, err)
	if err != nil {
		return err
	}
	return nil
}
