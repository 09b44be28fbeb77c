package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/quorumlock/quorumlock/internal/waiting"
)

// Lock takes the lock called name, and waits for it. The waiters of one Locker form a wait
// queue: first come, first served. Without [WithFair], Lockers of one process on the same
// clients share the queue, if their guard, node timeout and retry delay are equal. Only the
// head of the queue asks the nodes.
//
// If the lock is taken, or if too few nodes answer, Lock tries again after a wake-up, when
// the lock expires, and after every retry delay. It ends with ctx, or with [WithMaxWait] or
// [WithMaxTries]. At the end of ctx the error matches ctx.Err() and the error of the last
// attempt, [ErrTaken] or [ErrNoQuorum]. At the end of WithMaxTries it is the error of the
// last attempt. A node that timed out matches [context.DeadlineExceeded], too: ask ctx.Err()
// whether your context ended.
//
// Lock fails early where waiting cannot help:
//   - The Locker was closed: the error matches [ErrClosed].
//   - ctx stems from the context of a lock of this name, which would have to end first: the
//     error matches [ErrTaken]. Locks are not reentrant. A ctx of [context.WithoutCancel]
//     does not count, unless it was given a deadline or a cancellation since.
//   - So many nodes refuse that no majority is possible: the error matches [ErrNoQuorum]. A
//     data key of that name, a node of a cluster and a closed client end the wait at once. A
//     wrong password, missing ACL rights, a wrong certificate and the like do so if the node
//     has never answered well. If it has, they end the wait after two seconds or more, since
//     credentials may be rotated meanwhile. So does every other error reply that is not
//     known to pass by itself.
//
// An empty name, a name with the form of a side key and an option outside its range are
// errors of their own, at once, and nothing is sent.
//
// On failure nothing is held: what the attempts did on any node is rolled back in the
// background.
func (l *Locker) Lock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	return l.lock(ctx, name, opts, false)
}

// TryLock takes the lock called name if it is free. The error matches [ErrTaken],
// [ErrNoQuorum] or, if ctx ended first, ctx.Err(); a node that timed out matches
// [context.DeadlineExceeded], too. On failure nothing is held.
//
// An attempt takes one node timeout at most. An attempt without any winner is repeated after
// a short random pause, for up to two node timeouts. There is no winner if several callers
// split the nodes, if keys of this Locker's released locks were in the way, or if a fencing
// token was too small. So if several callers ask for a free lock at the same moment, one of
// them gets it. Crashed clients can leave keys that split the nodes for longer. Then the
// error matches ErrNoQuorum if it is certain that no value has a majority, and ErrTaken
// otherwise.
//
// TryLock refuses the options WithRetryDelay, WithMaxTries, WithMaxWait and WithPlaceLease,
// unless they were given to [New], where they are for Lock. After [Locker.Close] the error matches [ErrClosed].
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
