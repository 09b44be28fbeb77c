package redlock

import "context"

// Context returns a context that ends when the lock is no longer certainly held: at
// [Lock.Until] at the latest, whatever the nodes, the network or an extension do.
// [context.Cause] then says why: [ErrExpired], [ErrLost], [ErrReleased], [ErrHandedOver]
// or [ErrClosed]. The context of a nil Lock has ended with [ErrNotHeld].
//
// The context has the values of the context that the lock was taken with. It does not end
// with that context, except inside [Locker.Do].
//
// The Err method of the context reads the clock, so it is never late. Done is closed on
// time while the process runs. After a pause of the process it is closed as soon as the
// process runs again, and after a suspend of the machine within a quarter of a second.
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

// ofName is the key of a lock of this name in a context. A context knows all locks that it
// stems from.
type ofName struct {
	locker *Locker
	name   string
}

// within returns the name of a lock, of those that are wanted, that is not free before ctx ends,
// "" if there is none.
func (l *Locker) within(ctx context.Context, name string, set *set) (inner string) {
	if _, some := FromContext(ctx); !some || ctx.Done() == nil {
		return ""
	}
	names := []string{name}
	if set.oneOfSlots() {
		return "" // another slot may be free
	}
	if set != nil {
		names = set.names
	}
	for _, each := range names {
		if ctx.Value(ofName{l, each}) != nil {
			return each
		}
	}
	return ""
}

// FromContext returns the lock behind a context that stems from [Lock.Context]
// or that [Locker.Do] gave to its function.
func FromContext(ctx context.Context) (*Lock, bool) {
	k, ok := ctx.Value(lockKey{}).(*Lock)
	return k, ok
}
