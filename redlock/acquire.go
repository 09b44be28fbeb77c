package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// Lock takes the lock called name. If it is taken, or if too few nodes answer,
// it tries again until ctx ends (or [WithMaxWait], [WithMaxTries]): then the
// error matches ctx.Err() and what the last attempt met, [ErrTaken] or
// [ErrNoQuorum]; at the end of [WithMaxTries] it is that of the last attempt. A
// node that timed out matches [context.DeadlineExceeded], too: ask ctx.Err()
// whether it was yours that ended.
//
// Lock gives up early where waiting cannot help: the Locker was closed
// ([ErrClosed]), or so many nodes refuse (a wrong password, missing ACL rights, a
// data key of that name) that no majority is possible ([ErrNoQuorum]).
//
// On failure nothing is held: whatever the attempts did on any node is undone
// in the background.
func (l *Locker) Lock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	return l.lock(ctx, name, opts, false)
}

// TryLock takes the lock called name if it is free: it makes one attempt, which
// lasts no longer than the node timeout. The error matches [ErrTaken],
// [ErrNoQuorum] or, if ctx ended first, ctx.Err(); a node that timed out matches
// [context.DeadlineExceeded], too. On failure nothing is held. Where only
// remains of this Locker's own released locks and failed attempts are in the way,
// it waits until they are gone, which takes two node timeouts at most, and tries
// again. Options that say how to wait are refused.
func (l *Locker) TryLock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	s, err := l.config.settings.with(opts, l.config.drift)
	if err == nil && len(opts) > 0 && s.waits != nil {
		err = fmt.Errorf("redlock: TryLock does not wait: %s is for Lock", s.waits[0])
	}
	if err != nil {
		return nil, err
	}
	s.maxTries, s.maxWait = 1, 0
	return l.acquire(ctx, name, s, false)
}

func (l *Locker) lock(ctx context.Context, name string, opts []LockOption, scoped bool) (*Lock, error) {
	s, err := l.config.settings.with(opts, l.config.drift)
	if err != nil {
		return nil, err
	}
	return l.acquire(ctx, name, s, scoped)
}

// acquire makes attempts until one wins. A scoped lock's context ends with ctx
// too.
func (l *Locker) acquire(ctx context.Context, name string, s settings, scoped bool) (*Lock, error) {
	key, err := keyOf(l.config.prefix, name)
	if err != nil {
		return nil, err
	}
	if err := l.enter(); err != nil {
		return nil, fmt.Errorf("redlock: lock %q: %w", name, err)
	}
	defer l.leave()

	wait := ctx // the lock's context gets the values of ctx, whatever bounds the wait
	if s.maxWait > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, s.maxWait)
		defer cancel()
	}
	var last error
	for try, again := 1, 0; ; try++ {
		if wait.Err() != nil {
			return nil, interrupted(wait, "lock", name, last)
		}
		lock, remains, err := l.attempt(wait, ctx, name, key, s, scoped)
		if err == nil {
			return lock, nil
		}
		if err == errInterrupted {
			return nil, interrupted(wait, "lock", name, last)
		}
		last = err
		if remains != nil && again < maxAgain && l.outlast(wait, remains) {
			again++
			try--
			continue
		}
		again = 0
		if l.logger.Enabled(ctx, slog.LevelDebug) {
			l.logger.DebugContext(ctx, "redlock: attempt failed", "name", name, "try", try, "err", err)
		}
		var q *QuorumError
		if try == s.maxTries || errors.As(err, &q) && q.permanent() {
			return nil, err
		}
		if !l.pause(wait, s) {
			if l.isClosed() {
				return nil, fmt.Errorf("redlock: lock %q: %w; the last attempt: %w", name, ErrClosed, last)
			}
			return nil, interrupted(wait, "lock", name, last)
		}
	}
}

// maxAgain bounds the attempts that follow each other without a pause. Many
// callers of one Locker that want the same lock would else go on meeting each
// other's remains.
const maxAgain = 3

// outlast waits until the nodes are rid of claims that were released before. It
// returns false if ctx ends or the Locker closes.
func (l *Locker) outlast(ctx context.Context, remains []*fanout.Claim) bool {
	for _, c := range remains {
		select {
		case <-c.Cleared():
		case <-l.closing:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// pause waits before the next attempt. It returns false if ctx ends or the
// Locker closes.
func (l *Locker) pause(ctx context.Context, s settings) bool {
	d := s.retryMin
	if s.retryMax > s.retryMin {
		d += rand.N(s.retryMax - s.retryMin)
	}
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

// errInterrupted is returned by attempt if its context ended before the outcome.
var errInterrupted = errors.New("interrupted")

// attempt is Redlock as on the Redis page "Distributed Locks with Redis": note
// the time, ask all nodes, and the lock is ours if a majority granted it and
// validity is left. The time is noted before the first send: validity counted
// from any later moment can outlive the keys. On failure every node is asked to
// delete the key, also those that did not answer.
//
// If only remains of earlier locks and attempts of this Locker kept it from
// winning, attempt returns them, with its own.
func (l *Locker) attempt(ctx, values context.Context, name, key string, s settings, scoped bool) (_ *Lock, remains []*fanout.Claim, _ error) {
	claim := l.group.NewClaim(key, newValue(l.config.owner), s.nodeTimeout)
	lock := &Lock{locker: l, name: name, claim: claim, settings: s, values: values, scoped: scoped}
	lock.start = l.clock.Read()
	lock.sent = lock.start
	lock.validity = lock.capped(quorum.Validity(s.ttl, l.config.drift))

	result, decided := claim.Acquire(ctx, s.ttl).Wait(ctx)
	if !decided {
		claim.Undo()
		return nil, nil, errInterrupted
	}
	elapsed := l.clock.Read().Since(lock.start)
	if result.Outcome == quorum.Won && elapsed < lock.validity {
		l.traceRound("lock", name, result.Yes, lock.start, nil)
		return lock, nil, l.begin(lock)
	}
	if found, ours := l.group.Remains(result); ours {
		remains = append(found, claim)
	}
	claim.Undo()
	err := l.refusal(name, result, elapsed)
	l.traceRound("lock", name, result.Yes, lock.start, err)
	return nil, remains, err
}

// refusal is the error of an attempt that did not win.
func (l *Locker) refusal(name string, r fanout.Result, elapsed time.Duration) error {
	if r.Outcome == quorum.Won {
		err := newQuorumError("lock", name, ErrNoQuorum, l.group, r)
		err.note = fmt.Sprintf("too late: after %v no validity was left of the TTL", elapsed.Round(time.Microsecond))
		return err
	}
	// Without a majority of answers nobody knows whether the lock is free, even
	// if one node said that it is not.
	if r.Unreachable() {
		return newQuorumError("lock", name, ErrNoQuorum, l.group, r)
	}
	return newQuorumError("lock", name, ErrTaken, l.group, r)
}
