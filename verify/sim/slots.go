package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// A permit is what a call has that takes a slot of a semaphore: a lock on one of the slots. Until it is
// granted the call wants any of them.

// slotNames are the names of the slots of a semaphore.
func slotNames(name string, slots int) (all []string) {
	for i := range slots {
		all = append(all, fmt.Sprintf("%s/%d", name, i))
	}
	return all
}

// takeSlot takes a slot, in one of the ways that there are.
func (s *session) takeSlot(ctx context.Context, opts []redlock.LockOption) (*redlock.Lock, error) {
	all, err := semaphore.New(s.client.locker, s.Name, s.Slots)
	if err != nil {
		return nil, err
	}
	take := all.Acquire
	switch s.Kind {
	case doSlot:
		return s.doWithSlot(ctx, all, opts)
	case trySlot:
		take = all.TryAcquire
	}
	permit, err := take(ctx, opts...)
	if err != nil {
		return nil, err
	}
	s.slot = permit.Slot()
	return permit.Lock(), nil
}

// A doing is a function that runs while it holds a slot.
type doing struct {
	end   chan struct{} // closed when the function is to return
	ended chan error    // what Do has returned
}

// doWithSlot returns when the function runs, and leaves it running.
func (s *session) doWithSlot(ctx context.Context, all *semaphore.Semaphore, opts []redlock.LockOption) (*redlock.Lock, error) {
	s.doing = &doing{make(chan struct{}), make(chan error, 1)}
	granted := make(chan *redlock.Lock, 1)
	// The lock ends with the context of Do, and the rules want to know why a lock ends: so the caller's
	// context ends the wait only.
	waits, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	goesOn := context.AfterFunc(ctx, giveUp)
	go func() { // ends with the function, which ends with the hold or the process
		defer giveUp()
		s.doing.ended <- all.Do(waits, func(ctx context.Context, number int) error {
			if !goesOn() {
				return context.Cause(ctx)
			}
			lock, _ := redlock.FromContext(ctx)
			s.slot = number
			granted <- lock
			select {
			case <-s.doing.end:
			case <-s.client.ended:
			}
			return nil
		}, opts...)
	}()
	select {
	case lock := <-granted:
		return lock, nil
	case err := <-s.doing.ended:
		return nil, err
	}
}

// give has the function return, and waits until Do has.
func (d *doing) give(ctx context.Context) error {
	close(d.end)
	select {
	case err := <-d.ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitQueues are the names of the locks in whose wait queues a call waits. The slots of a semaphore have one
// queue.
func (e event) waitQueues() []string {
	if e.Slots > 0 {
		return []string{e.Name + "/"}
	}
	return e.names()
}

// waitsWith reports whether two calls wait in one queue.
func (s *session) waitsWith(other *session) bool {
	return slices.ContainsFunc(s.queues, func(name string) bool { return slices.Contains(other.queues, name) })
}
