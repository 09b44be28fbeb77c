package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/quorumlock/quorumlock/internal/waiting"
)

// Lock takes the lock called name, and waits for it if it is taken, or if too few nodes
// answer. If ctx has no end it may wait for ever: [WithMaxWait] bounds the wait.
//
// The waiters of a process form a wait queue: first come, first served. Only the head
// of the queue asks the nodes. It asks again after a wake-up, when the lock expires, as
// far as the last answers said when, and after every retry delay ([WithRetryDelay]).
// TryLock is in no queue, and without [WithFair] it may be granted the lock before
// waiters.
//
// Without [WithFair], the waiters of a process that want the same key (prefix and name)
// share a queue if their Lockers
//
//   - have the same clients (as [pool.Backed] returns them; else the same pools) in the
//     same order, and
//   - were made with the same [WithRestartGuard], [WithNodeTimeout] and
//     [WithRetryDelay]. What was given to New counts, or the default; that of the node
//     timeout depends on [WithTTL], and counts before it grows. Options of a call do
//     not count.
//
// With WithFair, each Locker has a queue of its own for each key, and the nodes put the
// queues of all processes in one order.
//
// The wait ends with an error
//
//   - if ctx ends. The error matches ctx.Err(), and the error of the last attempt,
//     [ErrTaken] or [ErrNoQuorum].
//   - if [WithMaxWait] or [WithMaxTries] ends it: see there.
//   - if the Locker is closed: it matches [ErrClosed].
//   - if ctx stems from the context of a lock of this name, which would have to end
//     first: it matches ErrTaken, at once. Locks are not reentrant. A ctx of
//     [context.WithoutCancel] does not count, unless it was given a deadline or a
//     cancellation since.
//   - if so many nodes refuse for good that no majority is possible: it matches
//     ErrNoQuorum.
//   - if the name or an option is not allowed, at once: it matches none of the Err
//     values, and nothing was sent. See [LockOption] for options.
//
// A node refuses for good, at once, if its client was closed, if it is a node of a
// cluster, or if other data has that name. A wrong password, missing ACL rights, a
// wrong certificate and the like count at once if the node has never answered well. If
// it has, they count after two seconds or more, since credentials may be rotated
// meanwhile. Other error replies count after two seconds or more, too. What passes by
// itself never counts: LOADING, READONLY, OOM, too many clients, and the quarantine of
// [WithRestartGuard]. Nor does a node that does not answer or cannot be reached.
//
// After an error nothing is held: what the attempts did on any node is rolled back in
// the background.
//
// A name may have any bytes and any length, but must not be empty: "redlock: the name
// of a lock must not be empty". Prefix and name together must not be a key that may
// belong to other locks: "redlock:node", "redlock:quarantine", and whatever begins with
// "{" and ends with "}:fence", "}:intent", "}:leader", "}:lease", "}:news", "}:queue",
// "}:value", "}:wait" or "}:wake" (keys of options, of readers and of published values, and
// channels). The error says that it "cannot be the key of a
// lock". Every method that takes a name returns these errors.
func (l *Locker) Lock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	return l.lock(ctx, name, nil, opts, false)
}

// TryLock takes the lock called name if it is free. It does not wait for a holder, and
// is in no wait queue.
//
// An attempt takes one node timeout at most. An attempt without a winner is no answer,
// and TryLock repeats it. There is no winner if several callers split the nodes, so
// that none has a majority; if keys that this Locker is releasing were in the way; or
// if a fencing token was too small. So if several callers ask for a free lock at the
// same moment, one of them gets it. The pauses are random: up to two round trips, then
// up to four, and so on, up to a node timeout. No repetition is begun when two node
// timeouts have passed since the first such attempt. With that, TryLock takes seven
// node timeouts at most. A round trip should take a tenth of the node timeout at most. With twice
// that, and no node to spare, four callers met until the end in 8 of 100,000 drawn cases.
//
// The error matches
//
//   - [ErrTaken] if another holder has the lock, also for the rest of its
//     [WithMinHold]; if [WithFair] is set and others wait; or if the last attempt had
//     no winner either, unless the next rule applies.
//   - [ErrNoQuorum] if too few nodes answered, or if no validity was left. Also if the
//     last attempt had no winner, and its answers made certain that no value has a
//     majority: keys of crashed clients can split the nodes in that way until they
//     expire.
//   - ctx.Err() if ctx ended before the call, during an attempt, or between two attempts.
//     After an attempt the error matches that of the attempt, too.
//   - [ErrClosed] if the Locker was closed.
//
// After an error nothing is held: what the attempts did on any node is rolled back in
// the background.
//
// A name that [Locker.Lock] refuses, and an option that is not allowed (see
// [LockOption]), is an error at once. It matches none of the Err values, and nothing was
// sent. TryLock refuses the options that say how to wait: WithRetryDelay, WithMaxTries,
// WithMaxWait and WithPlaceLease.
func (l *Locker) TryLock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	return l.tryLock(ctx, name, nil, opts)
}

// tryLock is TryLock, of all locks of a set if there is one.
func (l *Locker) tryLock(ctx context.Context, name string, set *set, opts []LockOption) (*Lock, error) {
	s, err := l.config.settings.with(opts, l.config.drift)
	if err == nil && len(opts) > 0 && s.waits != nil {
		err = fmt.Errorf("redlock: TryLock does not wait: %s is for Lock", s.waits[0])
	}
	if err != nil {
		return nil, err
	}
	r, err := l.newRequest(ctx, name, set, s, 1)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	return l.contend(ctx, r)
}

// lock waits in the wait queue, and then for the lock, or for all locks of a set.
func (l *Locker) lock(ctx context.Context, name string, set *set, opts []LockOption, scoped bool) (*Lock, error) {
	r, err := l.join(ctx, name, set, opts)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	r.scoped = scoped
	return l.wait(ctx, r)
}

// join adds a caller to the wait queue of the lock, or of a set of locks.
func (l *Locker) join(ctx context.Context, name string, set *set, opts []LockOption) (*request, error) {
	s, err := l.config.settings.with(opts, l.config.drift)
	if err != nil {
		return nil, err
	}
	if inner := l.within(ctx, name, set); inner != "" {
		return nil, fmt.Errorf("redlock: lock %q: %w by the caller: the context is that of lock %q, which would wait for itself (locks are not reentrant, and cannot be upgraded)", name, ErrTaken, inner)
	}
	r, err := l.newRequest(ctx, name, set, s, s.maxTries)
	if err != nil {
		return nil, err
	}
	r.waiter.Join(r.set.localQueue(r.key))
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
	name, key string // of a set, all names, and the first key
	set       *set   // nil if it is about one lock, and to hold it alone
	*settings
	values context.Context // of the caller, whatever bounds the wait
	scoped bool            // the lock's context ends with values, too
	waiter waiting.Waiter  // what makes it wait, and when
	last   error           // what the last of its attempts met

	newest  int64 // see [fanout.Result.LargestToken]
	slot    int   // of a semaphore, to be tried first
	repeats repeats

	failing time.Time // since when no majority answers, if none ever did
	telling error     // of the attempts since then, the last that says more than silence
}

// newRequest begins a call, which ends with leave.
func (l *Locker) newRequest(values context.Context, name string, set *set, s *settings, maxTries int) (*request, error) {
	var key string
	var err error
	switch {
	case set == nil:
		key, err = keyOf(l.config.prefix, name)
	case set.err != nil:
		err = set.err
	case set.oneOfSlots():
		key = set.queue
	default:
		key = set.keys[0]
	}
	if err != nil {
		return nil, err
	}
	if err := l.enter(); err != nil {
		return nil, fmt.Errorf("redlock: lock %q: %w", name, err)
	}
	return &request{name: name, key: key, set: set, slot: set.firstSlot(), settings: s, values: values, waiter: l.hub.Waiter(&s.pauses, s.fair, set.isShared(), set.oneOfSlots(), maxTries)}, nil
}

// contend waits until attempts are due, and makes them until one wins.
func (l *Locker) contend(ctx context.Context, r *request) (*Lock, error) {
	if !r.waiter.Ready(ctx, func() { r.last = l.behindHead(r) }) {
		return nil, l.gaveUp(ctx, r)
	}
	defer l.giveTurn(r)
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
				if r.set.oneOfSlots() { // and before: a node that has not granted it would keep others from slots that are free
					lock.claim.LeaveQueue()
				}
			}
			return lock, nil
		case lock != nil:
			return nil, o.err // closed meanwhile
		case o.err == errInterrupted:
			return nil, l.gaveUp(ctx, r)
		}
		r.last = o.err
		r.waiter.Failed(o.err, o.Took)
		l.neverAnswered(r, o)
		if l.repeat(ctx, r, o) {
			continue
		}
		if !o.answers() && ctx.Err() != nil {
			break // ctx cut the repeats short
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
