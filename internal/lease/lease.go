package lease

import (
	"context"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
)

// Keys are those of a lease on the nodes. Their methods are called with the mutex of the
// lease held, and do not wait.
type Keys interface {
	RetakeUntil(time.Time) // the zero time: no node is taken again
	OutcomeUnknown() bool  // a node may yet set a key
	ExpectRelease()        // a release follows, and Close waits for it
}

// A Lock is what a lease is of. Its methods, Keys aside, are called with no mutex held.
type Lock interface {
	// Keys returns those of the lock, always the same.
	Keys() Keys
	// Renew extends the lock until ctx ends: an Extend in the background.
	Renew(ctx context.Context) error
	// RenewalFailed reports a renewal that failed with so much validity left. again: so did
	// the one before.
	RenewalFailed(err error, left time.Duration, again bool)
	// Ended is called after the end, but for ErrReleased. rollBack: keys may outlive it.
	Ended(rollBack bool)
	// Lost reports the end of a lock that its holder did not give up. silent: the holder knows it by
	// what a method returned or by its context, or it is one of many that Close ended.
	Lost(cause error, silent bool)
	// Value is what the context of the lease has under key; nil: what its parent has.
	Value(key any) any
}

// A Grant says what a lease is of.
type Grant struct {
	Lock   Lock
	Values context.Context // of the caller
	Scoped bool            // the context of the lease ends with that of the caller, too
}

// A Lease is the certainty that one lock is held. It is made by Start or Resume, and is
// held from [Keeper.Hold] on. It is safe for concurrent use after that.
type Lease struct {
	grant  Grant
	keeper *Keeper

	mu    sync.Mutex // protects the rest; never held while a node is waited for
	state state
	ctx   *leaseContext // made when first needed
	ended *leaseContext // ctx when the lease ended; constant then
	// rollBack is set if it ended by itself and keys may outlive it; constant then.
	rollBack bool
	timer    *time.Timer // ends the lease at its deadline; nil until that is needed
	renewals context.Context
	// endRenewals ends renewals, with the lease and with nothing else: not with
	// the caller's context, which ends before the work does.
	endRenewals   context.CancelFunc
	renewalFailed bool          // the last one, which was reported
	contextTaken  bool          // by the holder: it says what becomes of the lease
	extending     chan struct{} // has the extension under way; made by the first

	slot slot // protected by the mutex of the Keeper's renewals
}

// Start makes a lease that is asked for. The reading of the Keeper's clock was taken just
// before the first send.
func (l *Lease) Start(k *Keeper, g Grant, t Terms, start clock.Reading) {
	l.keeper, l.grant = k, g
	l.state.begin(t, start)
}

// Resume makes a lease that is taken over, after it has been held elsewhere for a time. It
// returns the TTL to ask for. The error is [ErrMaxHold] if it can be held no longer.
func (l *Lease) Resume(k *Keeper, g Grant, t Terms, sent clock.Reading, held time.Duration) (ttl time.Duration, err error) {
	l.keeper, l.grant = k, g
	return l.state.resume(t, sent, held)
}

// Values is the context of the caller.
func (l *Lease) Values() context.Context { return l.grant.Values }

// Remaining is how much validity is left.
func (l *Lease) Remaining(now clock.Reading) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.remaining(now)
}

// Until is the end of the validity window. It moves with every extension, and back by as
// much as the wall clock ran ahead.
func (l *Lease) Until() time.Time {
	now := l.keeper.clock.Read()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.until(now)
}

// Cause is why the lease ended, nil while nobody has noticed that it did.
func (l *Lease) Cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.cause
}

// EndIfExpired ends the lease if its validity has ended, and returns why it ended, or nil while
// it is held. callerKnows: see End.
func (l *Lease) EndIfExpired(callerKnows bool) error {
	cause, now := l.expire()
	if now {
		l.finish()
		l.notifyLoss(callerKnows)
	}
	return cause
}

// EndIfExpiredAsync is EndIfExpired for a caller that only asks, as the caller of the context's
// Err does. What follows from the end sends commands and reports, so it is done on a goroutine
// of its own.
func (l *Lease) EndIfExpiredAsync() error {
	cause, now := l.expire()
	if now {
		go finishAll([]*Lease{l}) // ends when commands were handed on: no answer is waited for
	}
	return cause
}

// BeginExtension waits until no other extension is under way: the second of two at once
// would find its own retaken nodes and count them a round too early. It returns false if
// ctx ended first. Otherwise EndExtension is to follow.
func (l *Lease) BeginExtension(ctx context.Context) bool {
	l.mu.Lock()
	if l.extending == nil {
		l.extending = make(chan struct{}, 1)
	}
	extending := l.extending
	l.mu.Unlock()
	select {
	case extending <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// EndExtension lets the next one begin.
func (l *Lease) EndExtension() { <-l.extending }

// Extension returns what to ask for in an extension that is sent now. The error is
// [ErrMaxHold] if it would extend nothing. The old deadline stays in force until Extended:
// nothing about the timer changes while the round is under way.
func (l *Lease) Extension() (Extension, error) {
	sent := l.keeper.clock.Read()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.extension(sent)
}

// Extended notes the outcome of an extension, answered now. failure is nil if a majority
// agreed. A lease that has ended meanwhile stays ended, so EndIfExpired is to follow.
func (l *Lease) Extended(x Extension, now clock.Reading, failure error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.extended(x, now, failure)
	if l.state.mayHaveProlonged {
		l.setTimer() // keys that were prolonged in vain are removed when the lease ends
	}
}
