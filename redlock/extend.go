package redlock

import (
	"context"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// Extend starts the TTL that the lock was taken with anew on all nodes, and with it the
// validity window. It returns nil if a majority still had the lock. Then [Lock.Until]
// has moved, though by less than usual if [WithMaxHold] is near. Extend waits while
// another Extend or a renewal of the lock is under way.
//
// Extend also gives the lock back to nodes that lost it. They count only from the next
// extension on, and so do nodes that denied it and were asked again ([Lock.Held]). So
// when Extend returns nil, a majority has had the lock all the time.
//
// Exception: nodes that forget locks. Let node 1 of three forget the lock, and then
// node 2, before an extension has given it back to node 1. For a moment only node 3 has
// the lock, and another caller can be granted it. If that caller has released it by the
// time that node 1 is asked, later extensions find it on nodes 1 and 3, and return nil.
// [WithRestartGuard] keeps out nodes that restarted.
//
// Extend never revives a lock. The error matches [ErrNotHeld] if the lock had ended, or
// if so many nodes deny it that no majority has it: then its context has ended, too.
// The error matches [ErrNoQuorum] if too few nodes answered, and ctx.Err() if ctx ended
// first: then the lock is held until Until as before, and Extend may be tried again. If
// the lock has been held for as long as [WithMaxHold] allows, it is held until Until
// and cannot be extended: stop then. Only this error matches neither an Err value nor
// ctx.Err(). After [Locker.Close] the error matches [ErrClosed]. For a nil Lock it
// matches ErrNotHeld.
func (k *Lock) Extend(ctx context.Context) error {
	if k == nil {
		return nilLock("extend")
	}
	if err := k.locker.enter(); err != nil {
		return fmt.Errorf("redlock: extend %q: %w", k.name, err)
	}
	defer k.locker.leave()
	return k.extend(ctx, "extend", true)
}

// extend is Extend, or Downgrade. callerKnows is set if a caller gets what it returns.
func (k *Lock) extend(ctx context.Context, op string, callerKnows bool) error {
	if op == opDowngrade {
		k.claim.Share() // whatever it returns: see there
	}
	if !k.lease.BeginExtension(ctx) {
		return interrupted(ctx, op, k.name, nil)
	}
	defer k.lease.EndExtension()
	if cause := k.lease.EndIfExpired(callerKnows); cause != nil {
		return k.notHeld(op, cause)
	}
	if ctx.Err() != nil {
		return interrupted(ctx, op, k.name, nil)
	}
	x, err := k.lease.Extension()
	if err != nil {
		return fmt.Errorf("redlock: %s %q: %w of %v", op, k.name, err, k.settings.maxHold)
	}

	// Nodes that lost it are taken again until the old deadline, which stays in force
	// until a majority has acknowledged the new one.
	result, decided := k.claim.Extend(ctx, x.TTL, time.Now().Add(x.Left)).Wait(ctx)
	defer result.Done()
	now := k.locker.clock.Read()
	switch {
	case !decided:
		err = interrupted(ctx, op, k.name, nil)
	case result.Outcome != quorum.Won || now.Since(x.Sent) >= x.Validity:
		err = k.quorumError(op, ErrNoQuorum, result)
	}
	k.lease.Extended(x, now, err)

	if cause := k.lease.EndIfExpired(callerKnows); cause != nil {
		if cause != ErrReleased && cause != ErrClosed && cause != ErrHandedOver {
			k.claim.RollBack() // what the round prolonged
		}
		err = k.notHeld(op, cause)
	} else if decided && result.Denied() {
		k.lease.End(k.quorumError(op, ErrLost, result), callerKnows)
		err = k.quorumError(op, ErrNotHeld, result)
	}
	k.locker.traceRound(op, k.name, result.Yes, x.Sent, err)
	return err
}

func (k *Lock) quorumError(op string, kind error, r fanout.Result) error {
	return newQuorumError(op, k.name, kind, k.locker.group, r, nil)
}

func (k *Lock) notHeld(op string, cause error) error {
	return fmt.Errorf("redlock: %s %q: %w: %w", op, k.name, ErrNotHeld, cause)
}
