package redlock

import (
	"context"
	"errors"
	"log/slog"
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
// one of maxMoments moments in a TTL, so that many are: they share a timer, and
// their commands travel in company.
func (k *Lock) keepAlive() {
	k.watched() // makes the lock end at its deadline also when nobody asks
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause == nil {
		k.renewals, k.endRenewals = context.WithCancel(context.WithoutCancel(k.values))
		k.renewBefore(2, k.locker.clock.Read())
	}
}

// maxMoments bounds how often in a TTL a Locker renews locks of that TTL, if nothing
// fails.
const maxMoments = 64

// renewBefore has the lock renewed a third of the TTL after the last renewal was sent,
// or earlier by up to one jitter-th of that. k.mu is held.
func (k *Lock) renewBefore(jitter time.Duration, now clock.Reading) {
	third := k.settings.ttl / 3
	wait := third - random.N(third/jitter) - now.Since(k.sent)
	k.renewWithin(wait, k.settings.ttl/maxMoments, now)
}

// renewAgain has the lock renewed soon after a renewal that failed. The pause, of a
// sixteenth of the TTL and up to half as much, leaves room for several more tries. It is
// random, so that locks whose renewals failed together do not all come back together, at
// one of up to 16 moments. k.mu is held.
func (k *Lock) renewAgain(now clock.Reading) {
	pause := k.settings.ttl / 16
	slot := pause / 32
	k.renewWithin(pause+slot+random.N(pause/2-slot), slot, now)
}

// renewWithin has the lock renewed at the last moment within a time from now that is a
// multiple of slot. These are counted from the start of the process, so those of many
// processes are not the same.
func (k *Lock) renewWithin(wait, slot time.Duration, now clock.Reading) {
	at := now.Mono + wait // now or before now: at once
	past := at % slot
	if past < 0 {
		past += slot
	}
	k.locker.renewAt(k, at-past, at-past-now.Mono)
}

// renew extends the lock, and has it renewed again as long as it is held.
func (k *Lock) renew() {
	err := k.extend(k.renewals, false)

	// A logger is asked whether it wants to hear of it. Nothing of the lock waits for that.
	warn := func() {}
	defer func() { warn() }()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause != nil {
		return
	}
	now := k.locker.clock.Read()
	switch {
	case err == nil:
		k.warned = false
		k.timer.Reset(max(k.remaining(now), 1)) // it would come round in vain, in a goroutine of its own
		k.renewBefore(10, now)
	case errors.Is(err, errMaxHold):
		// Nothing more to gain: the lock ends at its deadline.
	default:
		// Not lost, as far as anybody knows: go on as long as it is valid.
		warn = k.warnOnce(err, k.remaining(now))
		k.renewAgain(now)
	}
}

// warnOnce returns what reports the first of several failed renewals in a row. k.mu is
// held, and not when that is called.
func (k *Lock) warnOnce(err error, left time.Duration) func() {
	level := slog.LevelWarn
	if k.warned {
		level = slog.LevelDebug
	}
	k.warned = true
	return func() {
		k.locker.log(k.values, level, "redlock: renewal failed", "name", k.name, "left", left, "err", err)
	}
}
