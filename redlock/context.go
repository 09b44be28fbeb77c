package redlock

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
)

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
	k.mu.Lock()
	k.asked = true
	k.mu.Unlock()
	return k.watched()
}

// noContext is that of no lock.
var noContext = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ErrNotHeld)
	return ctx
}()

// watched is Context for who wants the lock to end at its deadline, also if nobody asks.
func (k *Lock) watched() context.Context {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx == nil {
		parent := k.values
		if !k.scoped {
			parent = context.WithoutCancel(parent)
		}
		ctx, cancel := context.WithCancelCause(parent)
		k.ctx = &lockContext{Context: ctx, lock: k, cancel: cancel}
		if k.cause != nil {
			cancel(k.cause)
		} else {
			k.arm()
			k.locker.watchSleep()
		}
	}
	return k.ctx
}

// arm sets the timer that ends the lock. k.mu is held.
func (k *Lock) arm() {
	if k.timer == nil && k.cause == nil {
		k.timer = time.AfterFunc(max(k.remaining(k.locker.clock.Read()), 1), k.deadline) // not 0 or less, see setTimer in package fanout
	}
}

// deadline runs on the timer: the lock ends, or it was extended meanwhile and
// the timer is set for the new end.
func (k *Lock) deadline() {
	if k.check() != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause == nil {
		k.timer.Reset(max(k.remaining(k.locker.clock.Read()), 1))
	}
}

// slept makes up for a sleep of the machine that the lock outlived: its timer and that of
// its renewal stood still meanwhile.
func (k *Lock) slept() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.locker.clock.Read()
	if k.cause != nil {
		return
	}
	if k.timer != nil {
		k.timer.Reset(max(k.remaining(now), 1))
	}
	if k.locker.unplan(k) {
		k.renewBefore(10, now)
	}
}

// A lockContext is a context that reads the clock when it is asked. To ask it runs nothing
// of the user's: he may hold a mutex that his logger or Trace needs.
type lockContext struct {
	context.Context // ends with the cause
	lock            *Lock
	cancel          context.CancelCauseFunc
}

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

func (c *lockContext) Done() <-chan struct{} {
	c.look()
	return c.Context.Done()
}

func (c *lockContext) Err() error {
	c.look()
	return c.Context.Err()
}

// look ends the context if the lock has ended. Who noticed that before may not have come
// to it yet.
func (c *lockContext) look() {
	if cause := c.lock.look(); cause != nil {
		c.cancel(cause)
	}
}

func (c *lockContext) Value(key any) any {
	if key == (lockKey{}) {
		return c.lock
	}
	if of, ok := key.(ofName); ok && of.locker == c.lock.locker && of.name == c.lock.name && c.lock.look() == nil {
		return c.lock
	}
	return c.Context.Value(key)
}

// FromContext returns the lock behind a context that stems from [Lock.Context]
// or that [Locker.Do] gave to its function.
func FromContext(ctx context.Context) (*Lock, bool) {
	k, ok := ctx.Value(lockKey{}).(*Lock)
	return k, ok
}

// sleepPeriod is how long after a sleep of the machine the contexts of locks
// that expired meanwhile may still be open.
const sleepPeriod = 250 * time.Millisecond

// A sleepWatch notices that the machine slept or that its clock was set
// forward. Timers follow the monotonic clock, which stands still in a sleep: one
// that was due in 5 s is due in 5 s of being awake. So one timer per Locker
// looks whether the wall clock ran ahead, while locks have contexts to end.
type sleepWatch struct {
	locks   int // with a context that has not ended
	last    clock.Reading
	timer   *time.Timer
	running bool
}

// watchSleep counts one more lock to watch over.
func (l *Locker) watchSleep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &l.sleep
	w.locks++
	if w.running {
		return
	}
	w.running = true
	w.last = l.clock.Read()
	if w.timer == nil {
		w.timer = time.AfterFunc(sleepPeriod, l.afterSleep)
	} else {
		w.timer.Reset(sleepPeriod)
	}
}

func (l *Locker) afterSleep() {
	now := l.clock.Read()
	l.mu.Lock()
	w := &l.sleep
	var locks []*Lock
	if now.Skew(w.last) > noise {
		for k := range l.held {
			locks = append(locks, k)
		}
	}
	w.last = now
	if w.running = w.locks > 0; w.running {
		w.timer.Reset(sleepPeriod)
	}
	l.mu.Unlock()
	var ended []*Lock // contexts first
	for _, k := range locks {
		if _, just := k.expire(); just {
			ended = append(ended, k)
		} else {
			k.slept()
		}
	}
	windUp(ended)
}
