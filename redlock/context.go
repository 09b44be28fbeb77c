package redlock

import "context"

// Context returns a context with the values of the context that the lock was
// taken with, but not its cancellation. It ends when the lock is no longer
// certainly held: at [Lock.Until] at the latest, whatever the nodes, the network
// or an extension are doing. [context.Cause] then says why: [ErrExpired],
// [ErrLost], [ErrReleased], [ErrHandedOver] or [ErrClosed]. The context of a nil Lock has
// ended with [ErrNotHeld].
//
// After a pause of the process or a sleep of the machine, Done is closed at the
// first scheduling afterwards (within a quarter of a second after a sleep); Err
// reads the clock and is right at once.
//
// Inside [Locker.Do] it ends with the caller's context, too.
func (k *Lock) Context() context.Context {
	if k == nil {
		return noContext
	}
	return k.lease.Context()
}

// noContext is that of no lock.
var noContext = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ErrNotHeld)
	return ctx
}()

type lockKey struct{}

// A context knows all locks that it stems from, however many are between: ofName is the
// key for one that is held under a name.
type ofName struct {
	locker *Locker
	name   string
}

// within reports whether ctx would have to end before a lock of this name is free.
func (l *Locker) within(ctx context.Context, name string) bool {
	_, some := FromContext(ctx)
	return some && ctx.Done() != nil && ctx.Value(ofName{l, name}) != nil
}

// FromContext returns the lock behind a context that stems from [Lock.Context]
// or that [Locker.Do] gave to its function.
func FromContext(ctx context.Context) (*Lock, bool) {
	k, ok := ctx.Value(lockKey{}).(*Lock)
	return k, ok
}
