package lease

import (
	"context"
	"time"
)

// A leaseContext is a context that reads the clock when it is asked. To ask it runs nothing
// of the user's: the caller may hold a mutex that the user's logger or Trace needs.
type leaseContext struct {
	context.Context // ends with the cause
	lease           *Lease
	cancel          context.CancelCauseFunc
}

// Context returns the context of the lease, for its holder.
func (l *Lease) Context() context.Context {
	l.mu.Lock()
	l.contextTaken = true
	l.mu.Unlock()
	return l.withDeadline()
}

// EndOnTime makes the lease end at its deadline, also if nobody asks.
func (l *Lease) EndOnTime() { l.withDeadline() }

// withDeadline returns the context of the lease. If it is the first, it sets the timer that
// ends the lease, and watches for a suspend of the machine.
func (l *Lease) withDeadline() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx == nil {
		parent := l.grant.Values
		if !l.grant.Scoped {
			parent = context.WithoutCancel(parent)
		}
		ctx, cancel := context.WithCancelCause(parent)
		l.ctx = &leaseContext{Context: ctx, lease: l, cancel: cancel}
		if l.state.cause != nil {
			cancel(l.state.cause)
		} else {
			l.setTimer()
			l.keeper.watchSuspend()
		}
	}
	return l.ctx
}

func (c *leaseContext) Done() <-chan struct{} {
	c.look()
	return c.Context.Done()
}

func (c *leaseContext) Err() error {
	c.look()
	return c.Context.Err()
}

// look ends the context if the lease has ended. Whichever goroutine noticed that before may
// not have come to it yet.
func (c *leaseContext) look() {
	if cause := c.lease.EndIfExpiredAsync(); cause != nil {
		c.cancel(cause)
	}
}

func (c *leaseContext) Value(key any) any {
	if v := c.lease.grant.Lock.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}

// setTimer sets the timer that ends the lease, if there is none. l.mu is held.
func (l *Lease) setTimer() {
	if l.timer == nil && l.state.cause == nil {
		l.timer = time.AfterFunc(l.untilDeadline(), l.deadline)
	}
}

// untilDeadline is when the timer is to come. l.mu is held.
func (l *Lease) untilDeadline() time.Duration {
	return max(l.state.remaining(l.keeper.clock.Read()), 1) // not 0 or less, see setTimer in package fanout
}

// deadline runs on the timer: the lease ends, or it was extended meanwhile and
// the timer is set for the new end.
func (l *Lease) deadline() {
	if l.EndIfExpired(false) != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.cause == nil {
		l.timer.Reset(l.untilDeadline())
	}
}
