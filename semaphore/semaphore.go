// Package semaphore bounds how many callers do something at the same time, over all processes: at most
// as many as the semaphore has slots. It stands on a [redlock.Locker].
//
// The slots are locks: slot 3 of the semaphore "jobs" is the lock "jobs/3". So each has at most one
// holder by the argument for a lock, and a minority of the nodes may fail, however many slots there
// are. An attempt asks every node for the first slot that is free there, all in the same order, and
// is granted the one that a majority grants: one round trip.
//
// A [Permit] has the number of its slot. While the permit is valid no other caller has that number:
// it can name a shard, a port or a directory. With [redlock.WithFencing] its token is larger than that
// of every earlier holder of this slot. Tokens of different slots say nothing about each other: they
// protect what belongs to one slot, and not what all slots share.
//
// Processes may use different numbers of slots: then the largest of them bounds how many are held. So the number can be
// raised and lowered while the service runs. A number that is lowered takes effect as the permits
// of the slots above are released.
//
// What others lock under the name of a slot counts as taken. The lock "jobs" and the semaphore "jobs" have
// nothing to do with each other. See docs/semaphores.md.
package semaphore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/slot"
	"github.com/quorumlock/quorumlock/redlock"
)

// A Semaphore is the slots of one name. It is safe for concurrent use.
type Semaphore struct {
	locker *redlock.Locker
	name   string
	count  int
	slots  any // see package slot
}

// New returns the semaphore of this name. It sends nothing. slots is 1 to 256; the name is one that
// [redlock.Locker.Lock] takes.
func New(locker *redlock.Locker, name string, slots int) (*Semaphore, error) {
	if locker == nil {
		return nil, errors.New("semaphore: the Locker is nil")
	}
	s, err := slot.Slots(locker, name, slots)
	if err != nil {
		return nil, fmt.Errorf("semaphore: %w", err)
	}
	return &Semaphore{locker, name, slots, s}, nil
}

// Slots is how many slots it has.
func (s *Semaphore) Slots() int { return s.count }

func (s *Semaphore) request(opts []redlock.LockOption) slot.Request {
	return slot.Request{Locker: s.locker, Name: s.name, Slots: s.slots, Options: opts}
}

// Acquire takes a slot, and waits while all are taken. Its options and errors are those of
// [redlock.Locker.Lock]. Callers with [redlock.WithFair] are served first come, first served, whichever
// slot becomes free. A [redlock.QuorumError] names holders of some of the slots.
//
// A ctx that stems from the context of a permit of this semaphore is not refused, as Lock refuses that of
// a lock of the same name: the caller may be granted a second slot. Callers that hold all slots, and wait
// for another one each, wait for ever if they keep them alive.
func (s *Semaphore) Acquire(ctx context.Context, opts ...redlock.LockOption) (*Permit, error) {
	return permit(slot.Acquire(ctx, s.request(opts), true))
}

// TryAcquire takes a slot if one is free, and does not wait. Its options and errors are those of
// [redlock.Locker.TryLock].
func (s *Semaphore) TryAcquire(ctx context.Context, opts ...redlock.LockOption) (*Permit, error) {
	return permit(slot.Acquire(ctx, s.request(opts), false))
}

// Do runs fn while it holds a slot, as [redlock.Locker.Do] does with a lock. number is that of the slot.
func (s *Semaphore) Do(ctx context.Context, fn func(ctx context.Context, number int) error, opts ...redlock.LockOption) error {
	return slot.Do(ctx, s.request(opts), func(ctx context.Context) error {
		lock, _ := redlock.FromContext(ctx)
		return fn(ctx, slot.Index(lock))
	})
}

// Inspect reads the state of every slot, in their order: see [redlock.Locker.Inspect]. It asks for one
// after the other. The first error ends it, and then there is no state.
func (s *Semaphore) Inspect(ctx context.Context) ([]redlock.State, error) {
	states := make([]redlock.State, s.count)
	for i := range states {
		var err error
		if states[i], err = s.locker.Inspect(ctx, fmt.Sprintf("%s/%d", s.name, i)); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// A Permit is a slot that is held. It is safe for concurrent use. A nil Permit, which comes with an
// error, is not held: its methods say so, and none panics.
type Permit struct{ lock *redlock.Lock }

func permit(lock any, err error) (*Permit, error) {
	if err != nil {
		return nil, err
	}
	return &Permit{lock.(*redlock.Lock)}, nil
}

func (p *Permit) held() *redlock.Lock {
	if p == nil {
		return nil
	}
	return p.lock
}

// Slot is the number of the slot, from 0. No other caller has it while the permit is valid. It is -1
// for a nil Permit.
func (p *Permit) Slot() int {
	if p == nil {
		return -1
	}
	return slot.Index(p.lock)
}

// Lock is the lock that the permit is, nil of a nil Permit: see [redlock.Lock] for what else it knows. Its
// Handle and its Downgrade return an error.
func (p *Permit) Lock() *redlock.Lock { return p.held() }

// Context ends when the permit ends: see [redlock.Lock.Context].
func (p *Permit) Context() context.Context { return p.held().Context() }

// Until is the end of the validity window: see [redlock.Lock.Until].
func (p *Permit) Until() time.Time { return p.held().Until() }

// Token is the fencing token of the slot: see [redlock.Lock.Token].
func (p *Permit) Token() uint64 { return p.held().Token() }

// Extend starts the TTL anew: see [redlock.Lock.Extend].
func (p *Permit) Extend(ctx context.Context) error { return p.held().Extend(ctx) }

// Release gives the slot back: see [redlock.Lock.Unlock].
func (p *Permit) Release(ctx context.Context) error { return p.held().Unlock(ctx) }

// String names the slot.
func (p *Permit) String() string {
	if p == nil {
		return "no permit"
	}
	return fmt.Sprintf("slot %d, %v", p.Slot(), p.lock)
}
