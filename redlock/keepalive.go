package redlock

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
)

// keepAlive starts the renewals: a timer, and no goroutine between them.
//
// A renewal is due a third of the TTL after the last one was sent, not after it
// was answered, so that delays do not add up. It comes earlier at random, the
// first by up to a half and the others by up to a tenth, so that locks that were
// taken together are not all renewed together; and then a little earlier still, at
// one of maxMoments moments in a TTL, so that many are, and their commands travel in
// company.
func (k *Lock) keepAlive() {
	k.Context() // makes the lock end at its deadline also when nobody asks
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause == nil {
		k.renewals, k.endRenewals = context.WithCancel(context.WithoutCancel(k.values))
		k.renewal = time.AfterFunc(k.untilRenewal(2, k.locker.clock.Read()), k.renew)
	}
}

// maxMoments bounds how often in a TTL a Locker renews locks of that TTL, if nothing
// fails.
const maxMoments = 64

// untilRenewal is how long to wait for the next renewal. It may come earlier by one
// jitter-th. The moments are counted from the start of the process, so those of many
// processes are not the same.
func (k *Lock) untilRenewal(jitter time.Duration, now clock.Reading) time.Duration {
	third := k.settings.ttl / 3
	wait := third - rand.N(third/jitter) - now.Since(k.sent)
	slot := k.settings.ttl / maxMoments
	past := (now.Mono + wait) % slot
	if past < 0 {
		past += slot
	}
	return max(0, wait-past)
}

// maxRenewing bounds the renewals of a Locker that are under way. Ten thousand
// at once would wait for each other until all of them are given up, and then be
// tried again, all at once; one after the other they are done in time.
const maxRenewing = 64

// A renewalQueue holds the locks whose renewal is due while maxRenewing others
// are under way, oldest first: no goroutine waits for its turn.
type renewalQueue struct {
	running int
	due     []*Lock
}

// renew runs on the goroutine of the timer. It goes on with renewals that are
// due, and ends when there are none. Each is decided by the node timeout, or at
// once if its lock ends.
func (k *Lock) renew() {
	for next := k.locker.renewing(k); next != nil; next = k.locker.renewed() {
		next.renewNow()
	}
}

// renewing returns k if it may be renewed now, or nil and puts it in the queue.
func (l *Locker) renewing(k *Lock) *Lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &l.renewals
	if q.running == maxRenewing {
		q.due = append(q.due, k)
		return nil
	}
	q.running++
	return k
}

// renewed notes that a renewal is over, and returns the next one.
func (l *Locker) renewed() *Lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &l.renewals
	if len(q.due) == 0 {
		q.due = nil // let go of the array that was sliced away
		q.running--
		return nil
	}
	next := q.due[0]
	q.due[0] = nil
	q.due = q.due[1:]
	return next
}

func (k *Lock) renewNow() {
	if k.locker.enter() != nil {
		return // Close ends the lock
	}
	defer k.locker.leave()
	err := k.extend(k.renewals)

	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause != nil {
		return
	}
	now := k.locker.clock.Read()
	next := k.untilRenewal(10, now)
	if err != nil {
		// Not lost, as far as anybody knows: go on as long as it is valid, with
		// a pause that leaves room for several more tries.
		next = k.settings.ttl / 20
		if errors.Is(err, errMaxHold) {
			next = k.remaining(now) // nothing more to gain
		} else {
			k.warnOnce(err, k.remaining(now))
		}
	} else {
		k.warned = false
	}
	k.renewal.Reset(max(next, 0))
}

// warnOnce reports the first of several failed renewals in a row. k.mu is held.
func (k *Lock) warnOnce(err error, left time.Duration) {
	level := slog.LevelWarn
	if k.warned {
		level = slog.LevelDebug
	}
	k.warned = true
	k.locker.logger.Log(k.values, level, "redlock: renewal failed", "name", k.name, "left", left, "err", err)
}
