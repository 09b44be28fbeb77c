// Package slot is how package semaphore asks package redlock for the slots of a semaphore. Neither is
// to show that to users: so redlock sets these functions when it is initialised.
package slot

import "context"

// A Request is for one of the slots. Locker is a *redlock.Locker, and Options are []redlock.LockOption.
type Request struct {
	Locker  any
	Name    string // of the semaphore
	Slots   any    // what Slots returned
	Options any
}

var (
	// Slots prepares the slots of a semaphore with this name.
	Slots func(locker any, name string, slots int) (any, error)
	// Acquire takes a slot, and returns a *redlock.Lock. It waits if wait is set.
	Acquire func(ctx context.Context, r Request, wait bool) (lock any, err error)
	// Do runs fn while it holds a slot.
	Do func(ctx context.Context, r Request, fn func(context.Context) error) error
	// Index is which slot a lock is, counted from 0.
	Index func(lock any) int
)
