package redlock

import (
	"context"
	"fmt"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/random"
	"github.com/quorumlock/quorumlock/internal/slot"
)

// maxSlots is how many slots a semaphore can have. A node looks at all of them in one script.
const maxSlots = 256

// Package semaphore stands on locks of which one is to be taken, whichever is free.
func init() {
	slot.Slots = func(locker any, name string, slots int) (any, error) { return locker.(*Locker).slots(name, slots) }
	slot.Acquire = func(ctx context.Context, r slot.Request, wait bool) (any, error) {
		l, s, opts := r.Locker.(*Locker), r.Slots.(*set), r.Options.([]LockOption)
		if wait {
			return l.lock(ctx, r.Name, s, opts, false)
		}
		return l.tryLock(ctx, r.Name, s, opts)
	}
	slot.Do = func(ctx context.Context, r slot.Request, fn func(context.Context) error) error {
		return r.Locker.(*Locker).do(ctx, r.Name, r.Slots.(*set), fn, r.Options.([]LockOption))
	}
	slot.Index = func(lock any) int { return lock.(*Lock).claim.Slot() }
}

// slots are the locks "name/0", "name/1" and so on. Their wait queue is that of "name/".
func (l *Locker) slots(name string, slots int) (*set, error) {
	if slots < 1 || slots > maxSlots {
		return nil, fmt.Errorf("redlock: a semaphore of %d slots: it must have 1 to %d", slots, maxSlots)
	}
	if _, err := keyOf(l.config.prefix, name); err != nil {
		return nil, err
	}
	s := &set{queue: l.config.prefix + name + "/"}
	s.local = fmt.Sprintf("{%d slots of %s}:queue", slots, s.queue)
	for i := range slots {
		each := fmt.Sprintf("%s/%d", name, i)
		s.names, s.keys = append(s.names, each), append(s.keys, l.config.prefix+each)
	}
	s.slots = node.NewSlots(s.queue, s.keys...)
	return s, nil
}

// firstSlot is the slot that a call tries first: one at random, so that callers do not meet where
// several are free.
func (s *set) firstSlot() int {
	if s == nil || s.slots == nil {
		return 0
	}
	return int(random.N(int64(len(s.keys))))
}

// localQueue names the wait queue of the callers of this process, and the keys of the queues on the
// nodes. A caller that may take one of more slots does not wait behind one that has fewer to choose
// from: another slot may be free for it.
func (s *set) localQueue(key string) (name string, keys []string) {
	if s.oneOfSlots() {
		return s.local, []string{s.queue}
	}
	return key, s.allKeys()
}

// oneOfSlots reports whether one of several locks is to be taken.
func (s *set) oneOfSlots() bool { return s != nil && s.slots != nil }
