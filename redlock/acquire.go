package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/random"
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
	r, err := l.newRequest(ctx, name, s)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	r.most = 1
	return l.contend(ctx, r)
}

// lock waits in line, and then for the lock.
func (l *Locker) lock(ctx context.Context, name string, opts []LockOption, scoped bool) (*Lock, error) {
	r, err := l.join(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	defer l.leave()
	r.scoped = scoped
	return l.wait(ctx, r)
}

// join stands a caller in line.
func (l *Locker) join(ctx context.Context, name string, opts []LockOption) (*request, error) {
	s, err := l.config.settings.with(opts, l.config.drift)
	if err != nil {
		return nil, err
	}
	if l.within(ctx, name) {
		return nil, fmt.Errorf("redlock: lock %q: %w by the caller: the context is that of a lock of this name, which would wait for itself (locks are not reentrant)", name, ErrTaken)
	}
	r, err := l.newRequest(ctx, name, s)
	if err != nil {
		return nil, err
	}
	var holder *Lock
	if r.place, holder = l.queues(s).join(r.key, s); holder != nil {
		holder.lease.EndOnTime() // makes it end at its deadline also when nobody asks
	}
	return r, nil
}

// wait waits for the lock on behalf of a caller in line.
func (l *Locker) wait(ctx context.Context, r *request) (*Lock, error) {
	if r.maxWait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.maxWait)
		defer cancel()
	}
	defer l.deafen(r) // once the place is given up: until then it may inherit an ear
	granted := false
	defer func() {
		if !granted { // also if a Trace panics: others stand behind
			r.place.leave()
		}
	}()
	k, err := l.contend(ctx, r)
	if err != nil {
		return nil, err
	}
	granted = true
	if r.place.granted(k) {
		k.lease.EndOnTime()
	}
	return k, nil
}

// A request is one call of Lock or TryLock.
type request struct {
	name, key string
	*settings
	values context.Context // of the caller, whatever bounds the wait
	scoped bool            // the lock's context ends with values, too
	place  *place          // nil if it does not wait
	tries  int             // attempts so far, without extra ones
	most   int             // of them, 0 for no limit
	extra  bool            // the attempt comes earlier than it would by itself
	next   time.Time       // when one comes by itself
	last   error           // what the last of them met
	took   time.Duration   // the last attempt
	met    bool            // others want the lock, too
	passed int             // times that somebody else was let try first, up to maxPassed
	self   string          // its name in marks, once it left one
	ear    *ear            // once others were met

	newest  int64 // see [fanout.Result.NewestToken]
	repeats repeats

	failing time.Time // since when no majority answers, if none ever did
	telling error     // of the attempts since then, the last that says more than silence

	// With WithFair.
	said  node.QueuePosition // by the last attempt
	tried *fanout.Claim      // the last attempt
	apart bool               // no majority answers
}

// newRequest begins a call, which ends with leave.
func (l *Locker) newRequest(values context.Context, name string, s *settings) (*request, error) {
	key, err := keyOf(l.config.prefix, name)
	if err != nil {
		return nil, err
	}
	if err := l.enter(); err != nil {
		return nil, fmt.Errorf("redlock: lock %q: %w", name, err)
	}
	return &request{name: name, key: key, settings: s, values: values, most: s.maxTries}, nil
}

// contend waits for its turn and makes attempts until one wins.
func (l *Locker) contend(ctx context.Context, r *request) (*Lock, error) {
	if r.place != nil {
		if !l.stand(ctx, r) || !r.fair && !l.yield(ctx, r) {
			return nil, l.gaveUp(ctx, r)
		}
		if r.ear = r.place.inherit(); r.ear != nil {
			r.met = true
			if !l.await(ctx, r, outcome{missing: l.group.Majority()}) {
				return nil, l.gaveUp(ctx, r)
			}
		}
	}
	for ctx.Err() == nil {
		lock, o := l.attempt(ctx, r)
		if o.err == nil {
			l.reach()
		}
		switch {
		case o.err == nil && r.fair && r.place != nil:
			// The next in line asks from now on, so that his place is kept.
			if r.place.succeed(r, lock) {
				r.ear = nil
			}
			return lock, nil
		case o.err == nil:
			return lock, nil
		case lock != nil:
			return nil, o.err // closed meanwhile
		case o.err == errInterrupted:
			return nil, l.gaveUp(ctx, r)
		}
		r.last, r.took = o.err, o.took
		r.place.failed(o.err)
		l.unheard(r, o)
		if l.repeat(ctx, r, o) {
			continue
		}
		if !r.extra {
			r.tries++
		}
		r.met = true
		if l.logger.Enabled(ctx, slog.LevelDebug) {
			l.log(ctx, slog.LevelDebug, "redlock: attempt failed", "name", r.name, "try", r.tries, "err", o.err)
		}
		var q *QuorumError
		if r.tries > 0 && r.tries == r.most || errors.As(o.err, &q) && q.permanent() {
			return nil, o.err
		}
		if r.place != nil && r.ear == nil {
			l.listen(r)
		}
		if r.place != nil && r.fair && l.queue(r, o) {
			r.expect()
			continue
		}
		if !l.await(ctx, r, o) {
			break
		}
	}
	return nil, l.gaveUp(ctx, r)
}

// gaveUp is the error of a request that did not end by itself.
func (l *Locker) gaveUp(ctx context.Context, r *request) error {
	switch {
	case r.tries > 0 && r.tries == r.most:
		return r.last
	case ctx.Err() == nil && l.isClosed() && r.last == nil:
		return fmt.Errorf("redlock: lock %q: %w", r.name, ErrClosed)
	case ctx.Err() == nil && l.isClosed():
		return fmt.Errorf("redlock: lock %q: %w; the last attempt: %w", r.name, ErrClosed, r.last)
	}
	return interrupted(ctx, "lock", r.name, r.last)
}

// stand waits until the request is the first of its line. What it would have met
// meanwhile, had it asked the nodes after every pause, is known: the lock is
// taken. So that costs its tries.
func (l *Locker) stand(ctx context.Context, r *request) bool {
	for r.place.turn != nil {
		var pause <-chan time.Time
		if r.most > 0 {
			pause = time.After(r.delay()) // collected when it is not waited for any more
		}
		select {
		case <-r.place.turn:
			return ctx.Err() == nil
		case <-pause:
			r.tries++
			r.last = l.notInTurn(r)
			if r.tries == r.most {
				return false
			}
		case <-l.closing:
			r.last = l.notInTurn(r)
			return false
		case <-ctx.Done():
			r.last = l.notInTurn(r)
			return false
		}
	}
	return true
}

// notInTurn is what a caller meets who is not the first in line: what the first
// met, or that he has it.
func (l *Locker) notInTurn(r *request) error {
	before, met := r.place.inFront()
	if met != nil {
		return met
	}
	return &QuorumError{
		Op: "lock", Name: r.name, Needed: l.group.Majority(), Total: l.group.Len(), kind: ErrTaken,
		Holders: []Holder{{Label: l.holderLabel(r.place)}},
		note:    fmt.Sprintf("callers of this process that come first: %d at most", before),
	}
}

// delay is the pause before the next attempt.
func (s *settings) delay() time.Duration {
	if s.retryMax > s.retryMin {
		return s.retryMin + random.N(s.retryMax-s.retryMin)
	}
	return s.retryMin
}

// yield lets another Locker try first that waits for the same lock, as the release
// before found out: the longer, the more often the line went on before. It returns
// false if ctx ends or the Locker closes.
func (l *Locker) yield(ctx context.Context, r *request) bool {
	row, took := r.place.passed()
	if row == 0 {
		return true
	}
	r.met = true
	d := r.delay()
	if row < maxRow {
		d = min(d, r.holdOff(took, row-1))
	}
	return l.pause(ctx, d)
}

// pause waits. It returns false if ctx ends or the Locker closes.
func (l *Locker) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.closing:
	case <-ctx.Done():
	}
	return false
}

func (l *Locker) isClosed() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}
