package redlock

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/lease"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/internal/register"
	"github.com/quorumlock/quorumlock/internal/waiting"
)

// A Lock is one acquisition of a lock. It is safe for concurrent use. A nil Lock, which
// comes with an error, is not held. Its methods say so, and none panics.
type Lock struct {
	locker   *Locker
	name     string         // of a set, all names
	claim    *fanout.Claim  // the value of this attempt on all nodes
	storage  fanout.Storage // of claim
	settings *settings
	token    int64          // 0 without fencing
	entry    *waiting.Entry // in the wait queue, until it is released; nil for TryLock and WithFair
	lease    lease.Lease
	unlocked atomic.Bool // an Unlock was confirmed
	writer   atomic.Pointer[register.Writer]
}

// Name returns the name of the lock, "" of a nil Lock. Of several locks that were taken at once
// ([Locker.LockAll]) it returns all names, separated by commas.
func (k *Lock) Name() string {
	if k == nil {
		return ""
	}
	return k.name
}

// Names returns the names of the locks that were taken at once with [Locker.LockAll], sorted. Of
// any other lock it returns the name, and of a nil Lock nil.
func (k *Lock) Names() []string {
	if k == nil {
		return nil
	}
	names := k.claim.Keys()
	for i, key := range names {
		names[i] = key[len(k.locker.config.prefix):]
	}
	return names
}

// hasName reports whether k is a lock of this name.
func (k *Lock) hasName(name string) bool {
	if k.claim.OneAlone() || k.claim.IsShared() {
		return k.name == name
	}
	return slices.Contains(k.Names(), name) // a slot is a lock of its own, and that of the semaphore's name another one
}

// String names the lock. It does not show the value of its keys, which is a secret.
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

// Until returns the end of the validity window: start + TTL - (TTL x drift factor + 2
// ms). Start is the time just before the first send of the attempt, or of the last
// extension. [WithMaxHold] may end the window earlier. For a nil Lock it is the zero
// time.
//
// Until does not say whether the lock is held: it stays the same when the lock ends
// early, for instance by Unlock. Ask Context().Err(). If the machine was suspended, or
// its clock was set forward, Until is earlier by that time, and a result from before is
// too late by it. So call Until again for each comparison, as in
// time.Now().Before(k.Until()). A clock that is set back changes nothing, unless the
// result lost its monotonic clock reading.
func (k *Lock) Until() time.Time {
	if k == nil {
		return time.Time{}
	}
	return k.lease.Until()
}

// Held returns how many nodes hold the lock, as last known, and how many nodes there
// are. A node counts if it confirmed within the last TTL that it has the lock. A lock
// is granted as soon as a majority has it, and the other nodes count when they answer.
// While the lock is held, nodes that denied it are asked again in the background. Nodes
// that lost it are asked again by each extension. held is 0 once the lock has ended.
// For a nil Lock both are 0.
func (k *Lock) Held() (held, total int) {
	if k == nil {
		return 0, 0
	}
	if k.lease.EndIfExpiredAsync() == nil {
		held = k.claim.Held()
	}
	return held, k.locker.group.Len()
}

// Token returns the fencing token of the lock. It is 0 if the lock was taken without
// [WithFencing], and for a nil Lock. The token stays the same as long as the lock is
// held. Every later acquisition of the name with WithFencing has a larger one. So the
// database that the lock protects can reject the writes of a holder that was delayed
// until another one had the lock: see package fence, and "How to do distributed
// locking" (Kleppmann, 2016). A token that is not compared protects nothing.
//
// Exception: if nodes forget tokens (a restart without data, eviction, the end of
// [WithTokenLife]), only their clocks are left. Then a later token can be smaller, if
// these clocks were set back meanwhile, or differ by more than the time that has
// passed.
//
// The Locker proposes the token, and a node takes it only together with the lock, and
// only if it is the largest that it remembers. A majority has stored it before the lock
// is granted. It is below 2^53. It is about the time of the nodes in microseconds since
// 1970; do not rely on that.
func (k *Lock) Token() uint64 {
	if k == nil {
		return 0
	}
	return uint64(k.token)
}

// Unlock ends the context of the lock at once, and releases the lock on all nodes. It
// returns nil once a majority has confirmed that it no longer has the lock. The other
// nodes are released in the background, however late they answer.
//
// The error matches [ErrNotHeld] if the lock had expired or was lost: another holder
// may have had it meanwhile. Unlock still sends the release to nodes that may have the
// key. It also matches ErrNotHeld if an earlier Unlock returned nil.
//
// The error matches [ErrNoQuorum] if too few nodes confirmed within the node timeout.
// It matches [context.DeadlineExceeded], and no Err value, if the deadline of ctx
// passed first. In these two cases the release goes on in the background. Another
// Unlock then waits for it, for as long as the first, and returns nil when a majority
// has confirmed.
//
// Unlock does not end early if ctx is cancelled, or if its deadline had passed before the
// call: a program that ends often has only such a ctx left. It then takes one node
// timeout at most. The same holds for a ctx that stems from the lock's own context.
//
// Before [WithMinHold] has passed, Unlock does not delete the keys: it lets them expire
// when that time has passed. A result of nil says that a majority confirmed that.
//
// Unlock does nothing to a lock that was handed over ([Lock.Handle]), nor to a nil Lock.
// The error matches ErrNotHeld.
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
		k.claim.LeaveQueue()
	}
	// A cancellation does not end the wait. The release is on its way, so there is little
	// to wait for, and nil is the truth: an error would read as a lock that is left.
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
		err = newQuorumError("unlock", k.name, ErrNotHeld, k.locker.group, result, nil)
	default:
		err = newQuorumError("unlock", k.name, ErrNoQuorum, k.locker.group, result, nil)
	}
	k.locker.traceRound("unlock", k.name, result.Yes, begin, err)
	if err != nil {
		return err
	}
	return nil
}
