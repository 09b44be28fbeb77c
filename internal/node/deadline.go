package node

import (
	"context"
	"sync"
	"time"
)

// A Deadline is the context that clients get: the values of the caller's context (for tracing),
// a deadline of its own, and no cancellation. An acquire that is interrupted midway leaves a
// node in an unknown state; one that is answered can be rolled back at once.
//
// It replaces context.WithDeadline(context.WithoutCancel(ctx), at) because it needs no timer:
// the node that gives up a call ends the context with it. One Deadline serves all nodes of a
// round.
type Deadline struct {
	values context.Context
	from   time.Time
	at     time.Time

	mu     sync.Mutex // protects the rest
	done   chan struct{}
	passed bool
}

// MakeDeadline returns a context with the values of ctx that ends after timeout.
func MakeDeadline(ctx context.Context, timeout time.Duration) Deadline {
	now := time.Now()
	return Deadline{values: ctx, from: now, at: now.Add(timeout)}
}

// Made is when the Deadline was made: no call with it was sent before.
func (d *Deadline) Made() time.Time { return d.from }

// Deadline implements context.Context.
func (d *Deadline) Deadline() (time.Time, bool) { return d.at, true }

// Value implements context.Context.
func (d *Deadline) Value(key any) any { return d.values.Value(key) }

// Done implements context.Context.
func (d *Deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = make(chan struct{})
		if d.passed {
			close(d.done)
		}
	}
	return d.done
}

// Err implements context.Context. It reads the clock: a client that gives up at the deadline
// may ask before the node's timer fires.
func (d *Deadline) Err() error {
	d.mu.Lock()
	passed := d.passed
	d.mu.Unlock()
	if !passed {
		if time.Now().Before(d.at) {
			return nil
		}
		d.pass()
	}
	return context.DeadlineExceeded
}

// pass ends the context.
func (d *Deadline) pass() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.passed {
		return
	}
	d.passed = true
	if d.done != nil {
		close(d.done)
	}
}
