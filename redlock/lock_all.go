package redlock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node"
)

// LockAll takes the locks of all these names, or none, and waits until it can. It is [Locker.Lock]
// for up to 128 names, in one round trip: a node grants all of them in one script, or none. So it
// never holds some while it waits for others, and callers whose sets overlap do not block each
// other for ever, in whatever order they give the names.
//
// Each of these locks excludes whoever wants that name, by itself or with others, through this
// library or another one. They are one [Lock]: with one validity window, one context and one token,
// which is larger than all earlier tokens of each name. If so many nodes have lost one of them that
// no majority has all, the Lock is lost, and the others are released.
//
// Without [WithFair] callers for the same names wait in a queue of their own, and are in no
// order with those that want one of these names: each release is a new race. A set is only granted
// when all of its names are free at the same moment, so where they are busy give all callers
// WithFair. Then a call has one ticket for all names, and gets its turn: later callers for any of
// them wait, also while that one is free. So do not ask for a lock with WithFair while you
// hold another: you may come behind a set that waits for yours.
//
// The error matches what that of [Locker.Lock] does. A [QuorumError] says which names are taken,
// and by whom. It is an error that matches none of the Err values to give no name, more than 128,
// a name twice, or one that Lock refuses. Keys of crashed clients may split the nodes, so that nobody has
// a majority until they expire: for Lock that is [ErrNoQuorum], and here it is ErrTaken. The nodes must
// run scripts: there is no other form of this request.
func (l *Locker) LockAll(ctx context.Context, names []string, opts ...LockOption) (*Lock, error) {
	name, set := newSet(l.config.prefix, names)
	return l.lock(ctx, name, set, opts, false)
}

// TryLockAll takes the locks of all these names if all are free, as [Locker.TryLock] does with one.
// See [Locker.LockAll].
func (l *Locker) TryLockAll(ctx context.Context, names []string, opts ...LockOption) (*Lock, error) {
	name, set := newSet(l.config.prefix, names)
	return l.tryLock(ctx, name, set, opts)
}

// LockAllAsync asks for the locks of all these names and returns at once, as [Locker.LockAsync] does
// with one. See [Locker.LockAll].
func (l *Locker) LockAllAsync(ctx context.Context, names []string, opts ...LockOption) *Pending {
	name, set := newSet(l.config.prefix, names)
	return l.lockAsync(ctx, name, set, opts)
}

// DoAll runs fn while it holds the locks of all these names, as [Locker.Do] does with one. See
// [Locker.LockAll].
func (l *Locker) DoAll(ctx context.Context, names []string, fn func(ctx context.Context) error, opts ...LockOption) error {
	name, set := newSet(l.config.prefix, names)
	return l.do(ctx, name, set, fn, opts)
}

// maxNames is how many locks can be taken at once. Every node decides about all of them in one
// script, and meanwhile does nothing else.
const maxNames = 128

// A set is several locks that are taken at once, in the order of their names; or one lock that is to
// be shared with other readers; or the slots of a semaphore.
type set struct {
	names, keys []string
	err         error // a name that is not allowed, or too many of them
	shared      bool
	slots       *node.Slots // of a semaphore: one of these locks is to be taken; else nil
	queue       string      // the key of the semaphore
	local       string      // names its wait queue in this process
}

// newSet returns the locks of these names. A single name is no set: then set is nil. name is for
// errors, logs and traces.
func newSet(prefix string, names []string) (name string, s *set) {
	switch {
	case len(names) == 0:
		return "", &set{err: errors.New("redlock: no names of locks were given: give at least one")}
	case len(names) == 1:
		return names[0], nil
	case len(names) > maxNames:
		return "", &set{err: fmt.Errorf("redlock: %d locks at once are too many: take %d at most, or one lock that stands for all", len(names), maxNames)}
	}
	s = &set{names: slices.Clone(names), keys: make([]string, len(names))}
	slices.Sort(s.names)
	for i, each := range s.names {
		if i > 0 && each == s.names[i-1] {
			s.err = fmt.Errorf("redlock: the name %q was given twice: a lock is not reentrant; give each name once", each)
		} else if s.keys[i], s.err = keyOf(prefix, each); s.err == nil {
			continue
		}
		return "", s
	}
	return strings.Join(s.names, ", "), s
}

// allKeys are the keys of a set, nil if there is none.
func (s *set) allKeys() []string {
	if s == nil || s.oneOfSlots() {
		return nil
	}
	return s.keys
}

// moreKeys are those besides the first one.
func (s *set) moreKeys() []string {
	if s == nil || s.oneOfSlots() {
		return nil
	}
	return s.keys[1:]
}

// nameAt is the name of lock i of a set, "" if there is none.
func (s *set) nameAt(i uint8) string {
	if s == nil || len(s.names) == 1 {
		return ""
	}
	return s.names[i]
}
