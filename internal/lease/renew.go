package lease

import (
	"context"
	"errors"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/random"
)

// keepAlive starts the renewals.
//
// A renewal is due a third of the TTL after the last one was sent, not after it
// was answered, so that delays do not add up. It comes earlier at random, the
// first by up to a half and the others by up to a tenth, so that locks that were
// taken together are not all renewed together; and then a little earlier still, at
// one of maxBatches instants in a TTL, so that many are: they share a timer, and
// their commands travel in company.
func (l *Lease) keepAlive() {
	l.EndOnTime()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.cause == nil {
		l.renewals, l.endRenewals = context.WithCancel(context.WithoutCancel(l.grant.Values))
		l.renewBefore(2, l.keeper.clock.Read())
	}
}

// maxBatches bounds how often in a TTL a Keeper renews leases of that TTL, if nothing
// fails.
const maxBatches = 64

// renewBefore has the lease renewed a third of the TTL after the last renewal was sent,
// or earlier by up to one jitter-th of that. l.mu is held.
func (l *Lease) renewBefore(jitter time.Duration, now clock.Reading) {
	third := l.state.terms.TTL / 3
	wait := third - random.N(third/jitter) - now.Since(l.state.sent)
	l.renewWithin(wait, l.state.terms.TTL/maxBatches, now)
}

// renewAgain has the lease renewed soon after a renewal that failed. The pause, of a
// sixteenth of the TTL and up to half as much, leaves room for several more tries. It is
// random, so that leases whose renewals failed together do not all come back together, at
// one of up to 16 instants. l.mu is held.
func (l *Lease) renewAgain(now clock.Reading) {
	pause := l.state.terms.TTL / 16
	grid := pause / 32
	l.renewWithin(pause+grid+random.N(pause/2-grid), grid, now)
}

// renewWithin has the lease renewed at the last instant within a time from now that is a
// multiple of grid. These are counted from the start of the process, so those of many
// processes are not the same. l.mu is held.
func (l *Lease) renewWithin(wait, grid time.Duration, now clock.Reading) {
	at := now.Mono + wait // now or before now: at once
	past := at % grid
	if past < 0 {
		past += grid
	}
	l.keeper.renewals.add(l, at-past, at-past-now.Mono)
}

// renew extends the lease, and has it renewed again as long as it is held.
func (l *Lease) renew() {
	err := l.grant.Lock.Renew(l.renewals)

	// A logger is asked whether it wants to hear of it. Nothing of the lease waits for that.
	report := func() {}
	defer func() { report() }()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.cause != nil {
		return
	}
	now := l.keeper.clock.Read()
	switch {
	case err == nil:
		l.renewalFailed = false
		l.timer.Reset(max(l.state.remaining(now), 1)) // it would come round in vain, in a goroutine of its own
		l.renewBefore(10, now)
	case errors.Is(err, ErrMaxHold):
		// Nothing more to gain: the lease ends at its deadline.
	default:
		// Not lost, as far as is known: go on as long as it is valid.
		again, left := l.renewalFailed, l.state.remaining(now)
		report = func() { l.grant.Lock.RenewalFailed(err, left, again) }
		l.renewalFailed = true
		l.renewAgain(now)
	}
}
