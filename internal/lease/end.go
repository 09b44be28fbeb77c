package lease

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
)

// End ends the lease, if it has not ended: it is no longer certainly held. Only the first
// cause counts; End reports whether it was this one. callerKnows: the caller
// gets the cause, so the log need not say it.
func (l *Lease) End(cause error, callerKnows bool) bool {
	if !l.end(cause) {
		return false
	}
	l.notifyLoss(callerKnows)
	return true
}

// Release ends the lease with ErrReleased, or with ErrExpired if that comes too late. It
// returns why it ended, which may have been before, and whether validity is left. A release
// of the keys is to follow ErrReleased.
func (l *Lease) Release(now clock.Reading) (cause error, valid bool) {
	l.mu.Lock()
	first := l.state.cause == nil
	valid = l.state.remaining(now) > 0
	if first && valid {
		l.setCause(ErrReleased)
	} else if first {
		l.setCause(l.state.whyExpired())
	}
	cause = l.state.cause
	l.mu.Unlock()
	if first {
		l.finish()
		l.notifyLoss(true)
	}
	return cause, valid
}

// HandOver ends the lease with ErrHandedOver. It returns the validity that is left, and how
// long it has been held; or why it had ended.
func (l *Lease) HandOver() (left, held time.Duration, ended error) {
	if cause := l.EndIfExpired(false); cause != nil {
		return 0, 0, cause
	}
	l.mu.Lock()
	now := l.keeper.clock.Read()
	left, held = l.state.remaining(now), max(now.Mono-l.state.start.Mono, 0)
	switch {
	case l.state.cause != nil:
		ended = l.state.cause
	case left <= 0: // just now
		ended = l.state.whyExpired()
	default:
		l.setCause(ErrHandedOver)
	}
	l.mu.Unlock()
	if ended == nil {
		l.finish()
	}
	return left, held, ended
}

// expire ends the lease, and its context, if its validity has ended just now: finish and
// notifyLoss are to follow. cause is why it ended, nil while it is held.
func (l *Lease) expire() (cause error, now bool) {
	read := l.keeper.clock.Read()
	l.mu.Lock()
	now = l.state.cause == nil && l.state.remaining(read) <= 0
	if now {
		l.setCause(l.state.whyExpired())
	}
	cause = l.state.cause
	l.mu.Unlock()
	if now && l.ended != nil {
		l.ended.cancel(cause)
	}
	return cause, now
}

// end is End without notifyLoss, which is to follow.
func (l *Lease) end(cause error) bool {
	l.mu.Lock()
	if l.state.cause != nil {
		l.mu.Unlock()
		return false
	}
	l.setCause(cause)
	l.mu.Unlock()
	l.finish()
	return true
}

// setCause sets the cause, which is nil so far. l.mu is held, and finish and notifyLoss
// follow without it.
func (l *Lease) setCause(cause error) {
	l.state.cause, l.ended = cause, l.ctx
	if l.timer != nil {
		l.timer.Stop()
	}
	if cause != ErrReleased {
		l.grant.Lock.Keys().RetakeUntil(time.Time{})
	}
	// Close looks for what is held or to be released, and is not to come between.
	l.rollBack = l.state.endedByItself() && (l.state.mayHaveProlonged || l.grant.Lock.Keys().OutcomeUnknown())
	if l.rollBack || cause == ErrReleased {
		l.grant.Lock.Keys().ExpectRelease()
	}
}

// finish does what follows from the end of the lease. What it reads changes no more.
func (l *Lease) finish() {
	cause := l.state.cause
	if l.ended != nil {
		l.ended.cancel(cause)
	}
	if l.endRenewals != nil {
		l.endRenewals()
	}
	l.keeper.forget(l)
	if cause == ErrReleased {
		return // the position in the wait queue is given up with the release
	}
	l.grant.Lock.Ended(l.rollBack)
}

// notifyLoss reports that the lock was lost, unless it was given up. A holder that has the
// context of the lease knows it by that, and so does the function of Do. Close has one
// record for all that it ends.
func (l *Lease) notifyLoss(callerKnows bool) {
	cause := l.state.cause // changes no more
	if cause == ErrReleased || cause == ErrHandedOver {
		return
	}
	l.mu.Lock()
	taken := l.contextTaken
	l.mu.Unlock()
	l.grant.Lock.Lost(cause, callerKnows || taken || cause == ErrClosed)
}

// finishAll finishes leases that ended together, all of them before a loss is reported.
func finishAll(ended []*Lease) {
	for _, l := range ended {
		l.finish()
	}
	for _, l := range ended {
		l.notifyLoss(false)
	}
}
