package redlock

import (
	"context"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// Extend starts the TTL anew on all nodes, and with it the validity window. It returns
// nil if a majority still had the lock. Then [Lock.Until] has moved.
//
// Extend also gives the lock to nodes that lost it, and to nodes that denied it when it
// was granted. They count only from the next extension on. So when Extend returns nil, a
// majority has had the lock all the time. There are two exceptions, where nodes forget:
// one node forgot the lock before another that had lost it counted again, or a majority
// forgot it between two extensions.
//
// Extend never revives a lock. The error matches [ErrNotHeld] if the lock had ended, or
// if so many nodes deny it that no majority has it: then its context has ended, too. The
// error matches [ErrNoQuorum] if too few nodes answered, and ctx.Err() if ctx ended
// first: then the lock is held until Until as before, and Extend may be tried again. The
// error matches none of the Err values if the lock has been held for as long as
// [WithMaxHold] allows: then it cannot be extended, and is held until Until. After
// [Locker.Close] the error matches [ErrClosed]. For a nil Lock it matches ErrNotHeld.
func (k *Lock) Extend(ctx context.Context) error {
	if k == nil {
		return nilLock("extend")
	}
	if err := k.locker.enter(); err != nil {
		return fmt.Errorf("redlock: extend %q: %w", k.name, err)
	}
	defer k.locker.leave()
	return k.extend(ctx, true)
}

// extend is Extend. callerKnows is set if a caller gets what it returns.
func (k *Lock) extend(ctx context.Context, callerKnows bool) error {
	if !k.lease.BeginExtension(ctx) {
		return interrupted(ctx, "extend", k.name, nil)
	}
	defer k.lease.EndExtension()
	if cause := k.lease.EndIfExpired(callerKnows); cause != nil {
		return k.notHeld("extend", cause)
	}
	if ctx.Err() != nil {
		return interrupted(ctx, "extend", k.name, nil)
	}
	x, err := k.lease.Extension()
	if err != nil {
		return fmt.Errorf("redlock: extend %q: %w of %v", k.name, err, k.settings.maxHold)
	}

	// Nodes that lost it are taken again until the old deadline, which stays in force
	// until a majority has acknowledged the new one.
	result, decided := k.claim.Extend(ctx, x.TTL, time.Now().Add(x.Left)).Wait(ctx)
	defer result.Done()
	now := k.locker.clock.Read()
	switch {
	case !decided:
		err = interrupted(ctx, "extend", k.name, nil)
	case result.Outcome != quorum.Won || now.Since(x.Sent) >= x.Validity:
		err = k.quorumError(ErrNoQuorum, result)
	}
	k.lease.Extended(x, now, err)

	if cause := k.lease.EndIfExpired(callerKnows); cause != nil {
		if cause != ErrReleased && cause != ErrClosed && cause != ErrHandedOver {
			k.claim.RollBack() // what the round prolonged
		}
		err = k.notHeld("extend", cause)
	} else if decided && result.Denied() {
		k.lease.End(k.quorumError(ErrLost, result), callerKnows)
		err = k.quorumError(ErrNotHeld, result)
	}
	k.locker.traceRound("extend", k.name, result.Yes, x.Sent, err)
	return err
}

func (k *Lock) quorumError(kind error, r fanout.Result) error {
	return newQuorumError("extend", k.name, kind, k.locker.group, r)
}

func (k *Lock) notHeld(op string, cause error) error {
	return fmt.Errorf("redlock: %s %q: %w: %w", op, k.name, ErrNotHeld, cause)
}
