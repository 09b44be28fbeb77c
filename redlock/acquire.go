package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/quorumlock/quorumlock/internal/waiting"
)

// Lock takes the lock called name. Callers of one process on the same clients stand in
// line for it (with [WithFair] those of one Locker): who came first is served first, and
// only the first in line talks to the nodes.
// If others hold the lock, or if too few nodes answer, it tries again when a
// release is heard of, when the lock expires, and after every retry delay, until
// ctx ends (or [WithMaxWait], [WithMaxTries]): then the error matches ctx.Err()
// and what the last attempt met, [ErrTaken] or [ErrNoQuorum]; at the end of
// [WithMaxTries] it is that of the last attempt. A node that timed out matches
// [context.DeadlineExceeded], too: ask ctx.Err() whether it was yours that ended.
//
// Lock gives up early where waiting cannot help:
//   - The Locker was closed: the error matches [ErrClosed].
//   - ctx stems from the context of a lock of this name, which would have to end first:
//     [ErrTaken]. Locks are not reentrant. (One that [context.WithoutCancel] cut loose does
//     not count, unless it was given an end of its own since, which cannot be told apart.)
//   - So many nodes refuse that no majority is possible: [ErrNoQuorum]. A data key of that
//     name, a node of a cluster and a closed client end the wait at once. So does what
//     somebody has to mend, such as a wrong password, missing ACL rights or a wrong
//     certificate, if the node has never answered well. If it has, that ends the wait after
//     two seconds or more: credentials may be rotated meanwhile. So does every other
//     error reply that is not known to pass by itself.
//
// On failure nothing is held: whatever the attempts did on any node is undone
// in the background.
func (l *Locker) Lock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	return l.lock(ctx, name, opts, false)
}

// TryLock takes the lock called name if it is free. The error matches [ErrTaken],
// [ErrNoQuorum] or, if ctx ended first, ctx.Err(); a node that timed out matches
// [context.DeadlineExceeded], too. On failure nothing is held.
//
// An attempt lasts no longer than the node timeout. One that nobody can have won is
// repeated after a short random pause, for up to two node timeouts: several callers split
// the nodes between them, keys of this Locker's own released locks were in the way, or a
// fencing token was too small. So of callers that ask for a free lock at the same moment
// one gets it. If it stays so, as it does where keys of crashed clients are left on a
// minority each, the error matches ErrNoQuorum as soon as it is certain that no value has
// a majority, and ErrTaken before.
//
// Options that say how to wait (WithRetryDelay, WithMaxTries, WithMaxWait,
// WithPlaceLease) are refused. After [Locker.Close] the error matches [ErrClosed].
func (l *Locker) TryLock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	s, err := l.config.settings.with(opts, l.config.drift)
	if err == nil && len(opts) > 0 && s.waits != nil {
		err = fmt.Errorf("redlock: TryLock does not wait: %s is for Lock", s.waits[0])
	}
	if err != nil {
		return nil, err
	}
	r, err := l.newRequest(ctx, name, s, 1)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	return l.contend(ctx, r)
}

// lock waits in the wait queue, and then for the lock.
func (l *Locker) lock(ctx context.Context, name string, opts []LockOption, scoped bool) (*Lock, error) {
	r, err := l.join(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	r.scoped = scoped
	return l.wait(ctx, r)
}

// join adds a caller to the wait queue of the lock.
func (l *Locker) join(ctx context.Context, name string, opts []LockOption) (*request, error) {
	s, err := l.config.settings.with(opts, l.config.drift)
	if err != nil {
		return nil, err
	}
	if l.within(ctx, name) {
		return nil, fmt.Errorf("redlock: lock %q: %w by the caller: the context is that of a lock of this name, which would wait for itself (locks are not reentrant)", name, ErrTaken)
	}
	r, err := l.newRequest(ctx, name, s, s.maxTries)
	if err != nil {
		return nil, err
	}
	r.waiter.Join(r.key)
	return r, nil
}

// wait waits for the lock on behalf of a caller that has joined the wait queue.
func (l *Locker) wait(ctx context.Context, r *request) (*Lock, error) {
	if r.maxWait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.maxWait)
		defer cancel()
	}
	defer r.waiter.Leave() // also if a Trace panics: others wait behind
	return l.contend(ctx, r)
}

// A request is one call of Lock or TryLock.
type request struct {
	name, key string
	*settings
	values context.Context // of the caller, whatever bounds the wait
	scoped bool            // the lock's context ends with values, too
	waiter waiting.Waiter  // what makes it wait, and when
	last   error           // what the last of its attempts met

	newest  int64 // see [fanout.Result.NewestToken]
	repeats repeats

	failing time.Time // since when no majority answers, if none ever did
	telling error     // of the attempts since then, the last that says more than silence
}

// newRequest begins a call, which ends with leave.
func (l *Locker) newRequest(values context.Context, name string, s *settings, maxTries int) (*request, error) {
	key, err := keyOf(l.config.prefix, name)
	if err != nil {
		return nil, err
	}
	if err := l.enter(); err != nil {
		return nil, fmt.Errorf("redlock: lock %q: %w", name, err)
	}
	return &request{name: name, key: key, settings: s, values: values, waiter: l.hub.Waiter(&s.pauses, s.fair, maxTries)}, nil
}

// contend waits until attempts are due, and makes them until one wins.
func (l *Locker) contend(ctx context.Context, r *request) (*Lock, error) {
	if !r.waiter.Ready(ctx, func() { r.last = l.behindHead(r) }) {
		return nil, l.gaveUp(ctx, r)
	}
	for ctx.Err() == nil {
		lock, o := l.attempt(ctx, r)
		if o.err == nil {
			l.reach()
		}
		switch {
		case o.err == nil:
			// The release gives up the position, so it comes after all that the attempt may yet do.
			if left := r.waiter.Granted((*holder)(lock)); left.Ticket > 0 {
				lock.claim.LeaveQueueOnRelease(left)
			}
			return lock, nil
		case lock != nil:
			return nil, o.err // closed meanwhile
		case o.err == errInterrupted:
			return nil, l.gaveUp(ctx, r)
		}
		r.last = o.err
		r.waiter.Failed(o.err, o.Took)
		l.unheard(r, o)
		if l.repeat(ctx, r, o) {
			continue
		}
		r.waiter.CountTry()
		if l.logger.Enabled(ctx, slog.LevelDebug) {
			l.log(ctx, slog.LevelDebug, "redlock: attempt failed", "name", r.name, "try", r.waiter.Tries(), "err", o.err)
		}
		var q *QuorumError
		if r.waiter.Spent() || errors.As(o.err, &q) && q.permanent() {
			return nil, o.err
		}
		if !r.waiter.Await(ctx, o.Failure) {
			break
		}
	}
	return nil, l.gaveUp(ctx, r)
}

// gaveUp is the error of a request that did not end by itself.
func (l *Locker) gaveUp(ctx context.Context, r *request) error {
	switch {
	case r.waiter.Spent():
		return r.last
	case ctx.Err() == nil && l.isClosed() && r.last == nil:
		return fmt.Errorf("redlock: lock %q: %w", r.name, ErrClosed)
	case ctx.Err() == nil && l.isClosed():
		return fmt.Errorf("redlock: lock %q: %w; the last attempt: %w", r.name, ErrClosed, r.last)
	}
	return interrupted(ctx, "lock", r.name, r.last)
}

// behindHead is what a caller meets behind the head of its wait queue: what the head met, or
// that the head has the lock.
func (l *Locker) behindHead(r *request) error {
	before, failure := r.waiter.CallersAhead()
	if failure != nil {
		return failure
	}
	return &QuorumError{
		Op: "lock", Name: r.name, Needed: l.group.Majority(), Total: l.group.Len(), kind: ErrTaken,
		Holders: []Holder{{Label: r.waiter.HolderLabel()}},
		note:    fmt.Sprintf("callers of this process that come first: %d at most", before),
	}
}

// A holder is a lock as a wait queue sees it.
type holder Lock

// WatchEnd makes the lock end at its deadline, even if no caller looks at it.
func (h *holder) WatchEnd() { h.lease.EndOnTime() }

// Label is the label of its Locker.
func (h *holder) Label() string { return h.locker.config.owner }

func (l *Locker) isClosed() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}
