package redlock

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A Lock is one acquisition of a lock. It is safe for concurrent use. A nil Lock, as it
// comes with an error, is one that is not held: its methods say so, and none panics.
type Lock struct {
	locker   *Locker
	name     string
	claim    *fanout.Claim
	room     fanout.Storage // of claim
	settings *settings
	values   context.Context // of the caller
	scoped   bool            // Context() ends with values, too
	token    int64           // 0 without fencing
	start    clock.Reading   // just before the first send of the acquisition
	place    *place          // in the line of those who want it; nil for TryLock

	mu       sync.Mutex // protects the rest; never held while a node is waited for
	sent     clock.Reading
	validity time.Duration // counted from sent
	cause    error         // why the lock ended; nil while it is held
	undone   bool          // it ended by itself, and what may outlive it is undone
	unlocked bool          // an Unlock was confirmed
	partial  bool          // the last extension failed, and may have prolonged keys beyond the validity
	failure  error         // of that extension
	ctx      *lockContext  // made when first asked for
	marked   *lockContext  // ctx when the lock ended
	timer    *time.Timer   // ends the lock at its deadline; made with ctx
	renewals context.Context
	// endRenewals ends renewals, with the lock and with nothing else: not with
	// the caller's context, which ends before the work does.
	endRenewals context.CancelFunc
	warned      bool          // of a failed renewal, since the last that did not fail
	asked       bool          // the caller has its context, which says what becomes of it
	turn        chan struct{} // held by the extension under way; made by the first

	// Protected by the Locker's mu, which is taken after k.mu.
	moment *moment // where it waits for its renewal, or nil
	index  int     // there
}

// Name returns the name of the lock, "" of a nil Lock.
func (k *Lock) Name() string {
	if k == nil {
		return ""
	}
	return k.name
}

// String names the lock. It does not show its value, which is a secret.
func (k *Lock) String() string {
	if k == nil {
		return "no lock"
	}
	return fmt.Sprintf("lock %q", k.name)
}

// GoString is String.
func (k *Lock) GoString() string { return k.String() }

// nilLock is the error of a method of no lock.
func nilLock(op string) error {
	return fmt.Errorf("redlock: %s: %w: the Lock is nil: the error that came with it says why", op, ErrNotHeld)
}

// Until returns the end of the validity window: when the attempt, or the last
// extension, began, plus the TTL, less TTL x drift factor + 2 ms.
// It moves with every extension. When the machine slept or its clock was set
// forward, it moves back by as much. Of a nil Lock it is the zero time.
func (k *Lock) Until() time.Time {
	if k == nil {
		return time.Time{}
	}
	now := k.locker.clock.Read()
	k.mu.Lock()
	defer k.mu.Unlock()
	until := k.sent.Wall.Add(k.validity)
	if ahead := now.Skew(k.sent); ahead > noise {
		until = until.Add(-ahead)
	}
	return until
}

// noise is by how much two clocks of one machine may seem to differ only because
// they are read one after the other or are being slewed. What is less is not
// worth a result of Until that moves.
const noise = time.Millisecond

// Held returns how many of the nodes hold the lock, as last known: those that
// confirmed it within the last TTL. A lock is granted as soon as a majority holds
// it; the others are counted when they answer. Nodes that denied it then are asked
// again while it is held, and nodes that lost it are taken again by extensions. Of a
// lock that has ended no node is counted. Of a nil Lock it is 0 of 0.
func (k *Lock) Held() (held, total int) {
	if k == nil {
		return 0, 0
	}
	if k.look() == nil {
		held = k.claim.Held()
	}
	return held, k.locker.group.Len()
}

// Token returns the fencing token of the lock, 0 unless it was taken [WithFencing] or if it is nil. It
// stays the same as long as the lock is held. Every later acquisition of the name that is
// fenced has a larger one (docs/guarantees.md says when not), so what the lock protects
// can refuse a holder that was delayed until somebody else had the lock: see package
// fence, and "How to do distributed locking" (Kleppmann, 2016). A token that nobody
// checks protects nothing.
//
// A majority of the nodes has stored it before the lock is granted. It is below 2^53, and
// about the time of the nodes in microseconds since 1970; do not rely on that.
func (k *Lock) Token() uint64 {
	if k == nil {
		return 0
	}
	return uint64(k.token)
}

// remaining is how much validity is left. k.mu is held.
func (k *Lock) remaining(now clock.Reading) time.Duration {
	return k.validity - now.Since(k.sent)
}

// capped shortens a validity counted from k.sent so that it ends by WithMaxHold.
func (k *Lock) capped(validity time.Duration) time.Duration {
	if k.settings.maxHold == 0 {
		return validity
	}
	return min(validity, k.settings.maxHold-k.sent.Since(k.start))
}

// check ends the lock if its validity has ended, and returns why it ended, or
// nil while it is held.
func (k *Lock) check() error { return k.checkFor(false) }

// checkFor is check on behalf of a caller who is told what it returns, if told is set.
func (k *Lock) checkFor(told bool) error {
	cause, now := k.expire()
	if now {
		k.windUp()
		k.tell(told)
	}
	return cause
}

// look is check for those who only ask, as callers of the context's Err do. What follows
// from the end sends commands, so it is not for them to do.
func (k *Lock) look() error {
	cause, now := k.expire()
	if now {
		go windUp([]*Lock{k}) // ends when commands were handed on: no answer is waited for
	}
	return cause
}

// expire ends the lock, and its context, if its validity has ended just now: windUp and
// tell are to follow. cause is why it ended, nil while it is held.
func (k *Lock) expire() (cause error, now bool) {
	read := k.locker.clock.Read()
	k.mu.Lock()
	now = k.cause == nil && k.remaining(read) <= 0
	if now {
		k.mark(k.whyExpired())
	}
	cause = k.cause
	k.mu.Unlock()
	if now && k.marked != nil {
		k.marked.cancel(cause)
	}
	return cause, now
}

// end notes that the lock is no longer certainly held. Only the first cause
// counts; end reports whether it was this one. Then tell is to follow.
func (k *Lock) end(cause error) bool {
	k.mu.Lock()
	if k.cause != nil {
		k.mu.Unlock()
		return false
	}
	k.mark(cause)
	k.mu.Unlock()
	k.windUp()
	return true
}

// mark sets the cause, which is nil so far. k.mu is held, and windUp and tell follow
// without it.
func (k *Lock) mark(cause error) {
	k.cause, k.marked = cause, k.ctx
	if k.timer != nil {
		k.timer.Stop()
	}
	if cause != ErrReleased {
		k.claim.RetakeUntil(time.Time{})
	}
	// Close looks for what is held or owed, and is not to come between.
	if k.undone = k.undoes(); k.undone || cause == ErrReleased {
		k.claim.ExpectRelease()
	}
}

// undoes reports whether keys may outlive a lock that ended by itself: an extension that
// did not reach a majority prolonged some, or an acquire of unknown fate may yet set one.
// Keys of their first TTL just expire. k.mu is held.
func (k *Lock) undoes() bool {
	return k.cause != ErrReleased && k.cause != ErrClosed && k.cause != ErrHandedOver && (k.partial || k.claim.OutcomeUnknown())
}

// windUp does what follows from the end of the lock. What it reads changes no more.
func (k *Lock) windUp() {
	if k.marked != nil {
		k.marked.cancel(k.cause)
	}
	if k.endRenewals != nil {
		k.endRenewals()
	}
	k.locker.forget(k, k.marked != nil)
	if k.cause == ErrReleased {
		return // the place is given up with the release
	}
	if k.undone {
		k.claim.RollBack()
	}
	k.place.leave()
}

// tell reports that the lock was lost, unless it was given up. The logger gets a record if
// no caller is told. told is set if a method returns the loss. A caller that has the lock's
// context is told by that, and so is the function of Do. Close has one record for all that
// it ends.
func (k *Lock) tell(told bool) {
	l := k.locker
	if k.cause == ErrReleased || k.cause == ErrHandedOver {
		return
	}
	k.mu.Lock()
	told = told || k.asked
	k.mu.Unlock()
	if k.cause != ErrClosed && !told {
		l.log(k.values, slog.LevelWarn, "redlock: lock lost", "name", k.name, "owner", l.config.owner, "cause", k.cause)
	}
	if l.trace.Lost != nil {
		l.reports.add(func() { l.trace.Lost(k.name, k.cause) })
	}
}

// whyExpired says what kept the lock from being extended, if anything did. k.mu
// is held.
func (k *Lock) whyExpired() error {
	switch hold := k.settings.maxHold; {
	case k.partial:
		return fmt.Errorf("%w; the last extension: %w", ErrExpired, k.failure)
	case hold > 0 && k.capped(k.settings.ttl) < k.settings.ttl:
		return fmt.Errorf("%w: it was held for as long as WithMaxHold(%v) allows", ErrExpired, hold)
	}
	return ErrExpired
}

// forget is called when a lock ended.
func (l *Locker) forget(k *Lock, watched bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, k)
	l.renewals.remove(k)
	if watched {
		l.sleep.locks--
	}
}

// Unlock releases the lock on all nodes. It returns nil once a majority
// confirmed that it no longer carries the lock; the other nodes are released in
// the background, however late they answer.
//
// The error matches [ErrNotHeld] if the lock had expired, was lost, or had been
// unlocked before: somebody else may have held it meanwhile. It matches
// [ErrNoQuorum] if too few nodes confirmed within the node timeout, and
// [context.DeadlineExceeded] if the deadline of ctx passed first. Then the release goes
// on in the background, and Unlock may be called again to wait for it.
//
// A ctx that has been cancelled changes nothing, and neither does one whose deadline
// had passed before the call: a program that is told to end unlocks with such a one.
// Unlock then takes a node timeout at most. The same holds for a ctx that stems from
// the lock's own context, which ends before the first node is asked.
//
// Unlock of a nil Lock matches ErrNotHeld, and so does that of one that was handed over
// ([Lock.Handle]): that one is not released.
//
// Before [WithMinHold] has passed, Unlock leaves the keys for the rest of it. Everything
// else is the same: nil says that a majority confirmed that.
func (k *Lock) Unlock(ctx context.Context) error {
	if k == nil {
		return nilLock("unlock")
	}
	begin := k.locker.clock.Read()
	k.mu.Lock()
	first := k.cause == nil
	if first && k.remaining(begin) > 0 {
		k.mark(ErrReleased)
	} else if first {
		k.mark(k.whyExpired())
	}
	cause, unlocked := k.cause, k.unlocked
	expired := cause == ErrClosed && k.remaining(begin) <= 0
	k.mu.Unlock()
	if first {
		k.windUp()
		k.tell(true)
	}
	switch {
	case cause == ErrHandedOver:
		return k.notHeld("unlock", cause)
	case unlocked:
		return fmt.Errorf("redlock: unlock %q: %w: it was unlocked before", k.name, ErrNotHeld)
	case cause != ErrReleased && cause != ErrClosed || expired:
		k.claim.RollBack() // harmless where the key is gone, and kind where it is not
		if expired {
			cause = ErrExpired
		}
		return fmt.Errorf("redlock: unlock %q: %w: %w", k.name, ErrNotHeld, cause)
	}

	defer k.place.leave()
	if k.settings.minHold > 0 && k.claim.WithinMinHold() {
		k.claim.LeaveQueue(newValue(k.locker.config.owner))
	}
	// A cancellation does not end the wait. The release is on its way, so there is little
	// to wait for, and the truth to be told: an error would read as a lock that is left.
	result, decided := k.claim.Release(ctx).WaitByDeadline(ctx)
	defer result.Done()
	if !decided {
		return fmt.Errorf("redlock: unlock %q: %w before a majority confirmed; the release goes on in the background", k.name, context.DeadlineExceeded)
	}
	k.place.released(result.OtherWaiter(), k.locker.clock.Read().Since(begin))
	var err error
	switch {
	case result.Outcome == quorum.Won:
		k.mu.Lock()
		k.unlocked = true
		k.mu.Unlock()
	case result.Denied():
		err = newQuorumError("unlock", k.name, ErrNotHeld, k.locker.group, result)
	default:
		err = newQuorumError("unlock", k.name, ErrNoQuorum, k.locker.group, result)
	}
	k.locker.traceRound("unlock", k.name, result.Yes, begin, err)
	if err != nil {
		return err
	}
	return nil
}
