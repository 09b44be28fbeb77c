package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// Do runs fn while it holds the lock called name. It waits for the lock like
// [Locker.Lock] and keeps it alive until fn returns ([WithKeepAlive] is on). The
// context of fn ends when the lock ends and when ctx ends. [FromContext] returns the
// lock from it, and [Lock.Context] of that is the same context.
//
// If the lock is not granted, Do does not call fn and returns the error of Lock.
// Otherwise it returns fn's error. To know which it was, set a variable in fn.
//
// If the lock was lost while fn ran, the work may have overlapped with that of another
// holder. Then the error matches [ErrLost], the cause, for instance [ErrExpired], and
// fn's error, if that is not nil. Ask for ErrLost before you ask for context.Canceled:
// fn may return the ctx.Err() of its context, which is context.Canceled after a loss.
// fn must not unlock the lock: then the error matches ErrLost, and not [ErrReleased].
// If fn hands the lock over ([Lock.Handle]), Do returns fn's error.
//
// If the Locker was closed while fn ran, the error matches [ErrClosed]. It matches
// ErrLost, too, only if the lock was lost as well before Do released it. A release that
// was not confirmed is no error: it is logged, and goes on in the background.
//
// Do returns only after fn has returned, even if the context of fn has ended. Then it
// releases the lock, which takes one node timeout at most. If fn panics, Do releases
// the lock and the panic goes on.
//
// Do runs fn on one instance at a time. A job that every instance starts at the same tick
// runs on each of them, one after the other, unless [WithMinHold] is set.
func (l *Locker) Do(ctx context.Context, name string, fn func(ctx context.Context) error, opts ...LockOption) error {
	return l.do(ctx, name, nil, fn, opts)
}

// do is Do, with all locks of a set if there is one.
func (l *Locker) do(ctx context.Context, name string, set *set, fn func(ctx context.Context) error, opts []LockOption) (err error) {
	lock, err := l.lock(ctx, name, set, append([]LockOption{WithKeepAlive()}, opts...), true)
	if err != nil {
		return err
	}
	defer func() {
		given := errors.Is(lock.lease.EndIfExpired(true), ErrReleased) // by fn
		// ctx may have ended; the release is still worth waiting for, which
		// takes no longer than the node timeout.
		unlockErr := lock.Unlock(context.WithoutCancel(ctx))
		switch {
		case errors.Is(unlockErr, ErrHandedOver): // by fn, which knows
		case errors.Is(unlockErr, ErrNotHeld) && !given:
			err = withLoss(name, err, lock.loss(unlockErr))
		case given:
			err = errors.Join(err, fmt.Errorf("redlock: do %q: %w: the function unlocked it itself", name, ErrLost))
		case errors.Is(lock.lease.EndIfExpired(false), ErrClosed) && errors.Is(err, ErrClosed): // fn says so
			err = fmt.Errorf("redlock: do %q: %w", name, err)
		case errors.Is(lock.lease.EndIfExpired(false), ErrClosed):
			err = errors.Join(err, fmt.Errorf("redlock: do %q: %w", name, ErrClosed))
		}
		if unlockErr != nil && !errors.Is(unlockErr, ErrNotHeld) {
			l.log(ctx, slog.LevelWarn, "redlock: release not confirmed", "name", name, "err", unlockErr)
		}
	}()
	return fn(lock.Context())
}

// withLoss adds a loss to the error of the function, unless the function has returned the
// loss itself, as context.Cause of its context.
func withLoss(name string, err, loss error) error {
	said := err != nil && errors.Is(err, loss)
	if said {
		loss = err
	}
	if errors.Is(loss, ErrLost) {
		loss = fmt.Errorf("redlock: do %q: %w", name, loss)
	} else {
		loss = fmt.Errorf("redlock: do %q: %w: %w", name, ErrLost, loss)
	}
	if said {
		return loss
	}
	return errors.Join(err, loss)
}

// loss says why a lock was lost.
func (k *Lock) loss(unlockErr error) error {
	if cause := k.lease.Cause(); cause != nil && cause != ErrReleased {
		return cause
	}
	return unlockErr // nobody noticed before
}
