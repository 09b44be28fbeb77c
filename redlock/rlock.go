package redlock

import (
	"context"
	"fmt"
	"slices"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// RLock takes the lock called name for reading, and waits for it like [Locker.Lock]. Any number of
// readers hold the lock at the same time. [Locker.Lock] of the same name is the writer: it
// excludes all readers and is excluded by them, and so is any other library that takes that name.
//
// A reader is a [Lock] like any other, with a validity window, a context and a release of its own.
// A reader that dies keeps writers out for the rest of its own TTL, whatever other readers do.
// Every option works. With [WithFencing] the token is no smaller than that of any writer before, and 0 if
// none had one. Readers do not take tokens of their own, so several may have the same. It may be the token
// of an attempt that won too few nodes, and then a later writer's may be smaller: see docs/readers.md.
//
// Readers do not starve writers. A waiting [Locker.Lock] or [Locker.LockAll] that finds readers
// leaves a mark on the nodes. While it is there no new reader is let in. It goes when that writer
// releases the lock. If the writer gives up instead, the mark expires: after about 0.75 s with the
// default retry delay and node timeout, and 10 s at most. After a writer, readers and writers
// compete again. With [WithFair] for all callers of the name they come in the order of their
// tickets, and readers that no writer is between hold the lock together. [Locker.TryLock] leaves no
// mark.
//
// A lock cannot be upgraded: two readers that wait for each other to leave would wait for ever. Lock
// with a ctx that stems from the context of a lock of the same name, a reader's or not, is refused with
// [ErrTaken], and so is RLock: a writer may wait in between. [Lock.Downgrade] goes the other way. Use a
// Lock instead where the time for reading is short: a reader costs a script on each node, a writer
// a plain command.
//
// The errors are those of [Locker.Lock]. The nodes must run scripts: there is no other form of this
// request.
func (l *Locker) RLock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	return l.lock(ctx, name, l.reading(name), opts, false)
}

// TryRLock takes the lock called name for reading if no writer holds it, and none has left a mark that it
// waits; with [WithFair], if no writer waits. It does not wait itself: see [Locker.TryLock] and
// [Locker.RLock].
func (l *Locker) TryRLock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	return l.tryLock(ctx, name, l.reading(name), opts)
}

// RLockAsync asks for the lock called name for reading and returns at once, as [Locker.LockAsync] does.
// See [Locker.RLock].
func (l *Locker) RLockAsync(ctx context.Context, name string, opts ...LockOption) *Pending {
	return l.lockAsync(ctx, name, l.reading(name), opts)
}

// RDo runs fn while it holds the lock called name for reading, as [Locker.Do] does. See
// [Locker.RLock].
func (l *Locker) RDo(ctx context.Context, name string, fn func(ctx context.Context) error, opts ...LockOption) error {
	return l.do(ctx, name, l.reading(name), fn, opts)
}

// reading returns a lock that is to be shared.
func (l *Locker) reading(name string) *set {
	key, err := keyOf(l.config.prefix, name)
	both := [...]string{name, key} // in one piece of memory
	return &set{names: both[:1:1], keys: both[1:], shared: true, err: err}
}

// isShared reports whether a lock is to be shared.
func (s *set) isShared() bool { return s != nil && s.shared }

const opDowngrade = "downgrade"

// Downgrade makes a writer a reader, without a moment in which the lock is free: see
// [Locker.RLock]. Readers that wait are let in, with [WithFair] those before the next writer. It also
// extends the lock, as [Lock.Extend] does, and its errors are those of Extend. Whatever it returns, the
// lock is not that of a writer any more: after an error it is held as a reader's, if it is still held,
// until Until, and later renewals and calls of Extend turn it into one on the nodes that are left. The
// token stays. Downgrade of a reader extends it.
//
// What was taken with [Locker.LockAll], and the slot of a semaphore, cannot be downgraded: the error
// matches none of the Err values, and the lock is held as before.
func (k *Lock) Downgrade(ctx context.Context) error {
	if k == nil {
		return nilLock(opDowngrade)
	}
	if k.claim.Several() {
		return fmt.Errorf("redlock: %s %q: several locks that were taken at once cannot be downgraded: release them, and take what is read with RLock", opDowngrade, k.name)
	}
	if !k.claim.OneAlone() && !k.claim.IsShared() {
		return fmt.Errorf("redlock: %s %q: the slot of a semaphore has no readers", opDowngrade, k.name)
	}
	if err := k.locker.enter(); err != nil {
		return fmt.Errorf("redlock: %s %q: %w", opDowngrade, k.name, err)
	}
	defer k.locker.leave()
	return k.extend(ctx, opDowngrade, true)
}

// Shared reports whether the lock is, or was, that of a reader: it was taken with [Locker.RLock], or
// downgraded. It is false for a nil Lock.
func (k *Lock) Shared() bool { return k != nil && k.claim.IsShared() }

// readersOf is who holds a key, as a node said it: how many readers, or 0, and the label of one.
func readersOf(value string) (readers int, label string) {
	if n, one, shared := node.Readers(value); shared {
		return n, holderOf(one)
	}
	return 0, holderOf(value)
}

// holdersIn is who holds a lock that has this view on a majority.
func holdersIn(answers []node.Answer, view string) (readers int, label string) {
	var counts []int
	for _, a := range answers {
		if a.Status == node.Taken && fanout.ViewOf(a.Holder) == view {
			n, one := readersOf(a.Holder)
			if counts = append(counts, n); label == "" || one < label {
				label = one
			}
		}
	}
	return majorityHas(counts, len(answers)), label
}

// majorityHas is the largest number that as many of the counts reach as are a majority of nodes.
func majorityHas(counts []int, nodes int) int {
	slices.SortFunc(counts, func(a, b int) int { return b - a })
	return counts[quorum.Majority(nodes)-1]
}
