package redlock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// Extend starts the TTL anew on all nodes, and with it the validity window. On
// nil a majority carried the lock and [Lock.Until] has moved. Nodes that lost the
// lock are taken again; they count from the next extension on, as do those that
// denied it when it was granted and were taken since. So a majority carried it
// without a gap unless nodes forgot it: one of them while another was still to be
// taken, or a majority between two extensions.
//
// Extend never revives a lock: the error matches [ErrNotHeld] if its validity
// has ended or a majority no longer carries it, and then its context has ended
// too. It matches [ErrNoQuorum] if too few nodes answered, and ctx.Err() if ctx
// ended first: the lock is then held until Until as before, and Extend may be
// tried again. A lock that is held for as long as [WithMaxHold] allows cannot be
// extended: that is an error of its own. After [Locker.Close] it matches [ErrClosed].
// Extend of a nil Lock matches ErrNotHeld.
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

// extend is Extend. told is set if the caller is told what it returns.
func (k *Lock) extend(ctx context.Context, told bool) error {
	// One extension at a time: the second of two at once would find its own
	// re-taken nodes and count them a round too early.
	turn := k.turns()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return interrupted(ctx, "extend", k.name, nil)
	}
	if cause := k.checkFor(told); cause != nil {
		return k.notHeld("extend", cause)
	}
	if ctx.Err() != nil {
		return interrupted(ctx, "extend", k.name, nil)
	}
	sent := k.locker.clock.Read()
	ttl, validity, bounded := k.prolonged(sent.Since(k.start))
	k.mu.Lock()
	gain := validity - k.remaining(sent)
	retake := time.Now().Add(k.remaining(sent))
	k.mu.Unlock()
	if bounded && gain <= noise { // two readings of the clock differ
		return fmt.Errorf("redlock: extend %q: %w of %v", k.name, errMaxHold, k.settings.maxHold)
	}

	// The old deadline stays in force until a majority acknowledged the new
	// one: nothing about the timer changes while the round is under way.
	result, decided := k.claim.Extend(ctx, ttl, retake).Wait(ctx)
	defer result.Done()
	now := k.locker.clock.Read()
	var failure error
	switch {
	case !decided:
		failure = interrupted(ctx, "extend", k.name, nil)
	case result.Outcome != quorum.Won || now.Since(sent) >= validity:
		failure = k.quorumError(ErrNoQuorum, result)
	}
	k.mu.Lock()
	switch {
	case k.cause != nil || k.remaining(now) <= 0:
		// It ended while the round was under way, and stays lost.
	case failure == nil:
		k.sent, k.validity, k.partial = sent, validity, false
	default:
		k.partial, k.failure = true, failure
		k.arm() // keys that were prolonged in vain are removed when the lock ends
	}
	k.mu.Unlock()

	err := failure
	if cause := k.checkFor(told); cause != nil {
		if cause != ErrReleased && cause != ErrClosed && cause != ErrHandedOver {
			k.claim.RollBack() // what the round prolonged
		}
		err = k.notHeld("extend", cause)
	} else if decided && result.Denied() {
		if k.end(k.quorumError(ErrLost, result)) {
			k.tell(told)
		}
		err = k.quorumError(ErrNotHeld, result)
	}
	k.locker.traceRound("extend", k.name, result.Yes, sent, err)
	return err
}

// errMaxHold is the error of an extension that could not extend anything.
var errMaxHold = errors.New("it is held for as long as it may be, the WithMaxHold")

func (k *Lock) quorumError(kind error, r fanout.Result) error {
	return newQuorumError("extend", k.name, kind, k.locker.group, r)
}

func (k *Lock) notHeld(op string, cause error) error {
	return fmt.Errorf("redlock: %s %q: %w: %w", op, k.name, ErrNotHeld, cause)
}

// prolonged returns the TTL for an extension sent when the lock has been held
// for the given time, and its validity. WithMaxHold bounds both.
func (k *Lock) prolonged(held time.Duration) (ttl, validity time.Duration, bounded bool) {
	drift := k.locker.config.drift
	ttl, validity = k.settings.ttl, quorum.Validity(k.settings.ttl, drift)
	if k.settings.maxHold > 0 {
		if left := k.settings.maxHold - held; left < validity {
			validity = left
			ttl = min(ttl, quorum.TTL(left, drift))
			bounded = true
		}
	}
	return ttl, validity, bounded
}

// turns returns the semaphore of extensions.
func (k *Lock) turns() chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.turn == nil {
		k.turn = make(chan struct{}, 1)
	}
	return k.turn
}
