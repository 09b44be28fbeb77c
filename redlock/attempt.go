package redlock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/internal/waiting"
)

// errInterrupted is returned by attempt if its context ended before the outcome.
var errInterrupted = errors.New("interrupted")

// An outcome is what became of an attempt that failed.
type outcome struct {
	err           error
	ours          bool              // nothing kept it from winning but what this Locker is giving up
	leftovers     []fanout.Leftover // of earlier locks and attempts, and its own
	split         bool              // no caller won: contenders took some nodes each
	tokenTooSmall bool              // only its fencing token kept it from winning

	waiting.Failure
}

// attempt is Redlock as on the Redis page "Distributed Locks with Redis": note
// the time, ask all nodes, and the lock is ours if a majority granted it and
// validity is left. The time is noted before the first send: validity counted
// from any later moment can outlive the keys. On failure every node that may have
// the key is asked to delete it, also those that did not answer.
func (l *Locker) attempt(ctx context.Context, r *request) (*Lock, outcome) {
	lock := &Lock{locker: l, name: r.name, settings: r.settings, entry: r.waiter.Entry()}
	claim := l.group.NewClaimIn(&lock.storage, r.key, newValue(l.config.owner), r.nodeTimeout, r.set.moreKeys()...)
	lock.claim = claim
	claim.SetMaxTimeout(r.patience())
	shared := r.set.isShared()
	fencing := r.fencing && !shared // a reader takes no token of its own
	switch {
	case shared && r.fencing:
		claim.ShareFenced()
	case shared:
		claim.Share()
	}
	ofSlots := r.set.oneOfSlots()
	if ofSlots {
		claim.OfSlots(r.set.slots, r.slot)
	}
	if fencing {
		lock.token = l.group.Token(r.newest)
		claim.Fence(lock.token, r.tokenLife)
	}
	if r.fair || shared || ofSlots {
		lock.entry = nil // it has left the queue by the time that the lock is released
	}
	start := l.clock.Read()
	lock.lease.Start(l.keeper, lock.grant(r.values, r.scoped), l.terms(r.settings), start)

	result, decided := l.ask(ctx, r, claim).Wait(ctx)
	defer result.Done()
	if !decided {
		claim.RollBackForRetry() // the callers behind keep the position
		return nil, outcome{err: errInterrupted}
	}
	now := l.clock.Read()
	elapsed, left := now.Since(start), lock.lease.Remaining(now)
	// If it took longer than that, the process was stopped meanwhile: that is no round trip.
	// The monotonic clock counts, since the wall clock may have been set.
	took := min(now.Mono-start.Mono, r.patience())
	won := result.Outcome == quorum.Won && left > 0
	old := won && fencing && result.TokenTooOld(lock.token)
	if won && !old {
		if ofSlots {
			claim.Choose(result)
		}
		if shared && r.fencing {
			lock.token = result.SeenToken()
		}
		r.waiter.Draw(result.LastTicket())
		claim.RetakeUntil(time.Now().Add(left))
		l.traceRound("lock", r.name, result.Yes, start, nil)
		if err := l.begin(lock); err != nil {
			return lock, outcome{err: err} // and it is deleted at once
		}
		if r.minHold > 0 {
			claim.SetMinHold(r.minHold)
		}
		return lock, outcome{}
	}
	o := outcome{
		err:   l.refusal(r, result, elapsed, old).following(&r.waiter, result),
		split: result.Split(),
		Failure: waiting.Failure{
			Free:     result.FreeIn(),
			Missing:  l.group.Majority() - result.Yes,
			Took:     took,
			Readers:  result.Readers(),
			Answers:  result.Yes + result.No,
			Largest:  result.LastTicket(),
			Smallest: result.FirstTicket(),
		},
	}
	if fencing {
		r.newest = result.LargestToken()
		small := result.TokenTooSmall()
		o.tokenTooSmall = old || small > 0 && result.Nodes-result.Failed-(result.No-small) >= l.group.Majority()
	}
	if ofSlots {
		if r.slot = result.PreferredSlot(r.slot, len(r.set.keys)); r.slot < 0 {
			r.slot = r.set.firstSlot()
		}
	}
	o.leftovers, o.ours = claim.Leftovers(result)
	claim.RollBackForRetry()
	l.traceRound("lock", r.name, result.Yes, start, o.err)
	return nil, o
}

// ask starts the round of an attempt. Where others want the lock it leaves a waiter flag.
func (l *Locker) ask(ctx context.Context, r *request, claim *fanout.Claim) *fanout.Round {
	flag, leaves := r.waiter.BeforeAttempt(claim)
	switch {
	case r.fair:
		return claim.AcquireInTurn(ctx, r.ttl, flag)
	case leaves:
		return claim.AcquireOrFlag(ctx, r.ttl, flag)
	}
	return claim.Acquire(ctx, r.ttl)
}

// refusal is the error of an attempt that did not win, or not with the token that it had.
func (l *Locker) refusal(of *request, r fanout.Result, elapsed time.Duration, old bool) *QuorumError {
	if r.Outcome == quorum.Won {
		err := newQuorumError("lock", of.name, ErrNoQuorum, l.group, r, of.set)
		err.note = fmt.Sprintf("too late: after %v no validity was left of the TTL", elapsed.Round(time.Microsecond))
		if old {
			err.note = "free, but its fencing token was of a time that is over; the nodes have returned theirs"
		}
		return err
	}
	// Without a majority of answers it is unknown whether the lock is free, even if one node
	// said that it is not, unless half of all nodes said so.
	if r.Unreachable() && !r.Denied() {
		return newQuorumError("lock", of.name, ErrNoQuorum, l.group, r, of.set)
	}
	if r.NoHolder() {
		err := newQuorumError("lock", of.name, ErrNoQuorum, l.group, r, of.set)
		err.note = "held by nobody: no value is on a majority of the nodes, and each is in the way of the others until it is rolled back or expires"
		return err
	}
	return newQuorumError("lock", of.name, ErrTaken, l.group, r, of.set)
}
