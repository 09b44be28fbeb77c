package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// A work is what is done under a lock, over and over again.
type work func(rng *rand.Rand, t *Try, lock *redlock.Lock)

// try asks for a lock, in one of the ways in which one can ask, and does some work if it
// is granted.
func (w *worker) try(rng *rand.Rand, t *Try, do work) {
	between := func(shortest, longest time.Duration) time.Duration {
		return shortest + time.Duration(rng.Int64N(int64(longest-shortest)))
	}
	var opts []redlock.LockOption
	if w.Run.Clients[t.Client].Role == publisher {
		opts = append(opts, redlock.WithFencing())
	}
	keepAlive := rng.IntN(2) == 0
	if keepAlive {
		opts = append(opts, redlock.WithKeepAlive())
	}
	length := between(w.Run.TTL/400, w.Run.TTL/20) // of the hold
	if rng.IntN(12) == 0 {
		length = between(w.Run.TTL/2, w.Run.TTL*2)
	}
	patience := between(w.Run.TTL, w.Run.TTL*3)
	if rng.IntN(8) == 0 {
		patience = between(w.Run.TTL/100, w.Run.TTL/4) // it is cancelled in the midst of it
	}
	how := rng.IntN(10)
	if t.Mode == together {
		how = 9
	}
	if t.Calm {
		how, patience, length = 0, calmBound(w.Run), w.Run.TTL/500
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	var lock *redlock.Lock
	var err error
	t.Call = w.clock.now()
	w.going(t)
	switch {
	case how < 5:
		t.Mode = "Lock"
		lock, err = w.locker.Lock(ctx, t.Name, opts...)
	case how < 7:
		t.Mode = "WithFair"
		lock, err = w.locker.Lock(ctx, t.Name, append(opts, redlock.WithFair())...)
	case how < 8:
		t.Mode = "LockAsync"
		pending := w.locker.LockAsync(context.Background(), t.Name, opts...)
		if lock, err = pending.Wait(ctx); err != nil {
			pending.Cancel()
		}
	default:
		if t.Mode == "" {
			t.Mode = "TryLock"
		}
		lock, err = w.locker.TryLock(ctx, t.Name, opts...)
	}
	t.Return = w.clock.now()
	if err != nil {
		t.Err = err.Error()
		return
	}
	w.hold(rng, t, lock, do, length, keepAlive)
}

// hold works under a lock for a time, or until it is lost, and releases it. It is careful
// before each write, and still writes late when it is stopped behind the check: that is
// the gap that no lock can close.
func (w *worker) hold(rng *rand.Rand, t *Try, lock *redlock.Lock, do work, length time.Duration, keepAlive bool) {
	t.Token, t.Until = lock.Token(), w.clock.at(lock.Until())
	w.going(t)
	ctx := lock.Context()
	end := w.awaitEnd(ctx)

	extend := !keepAlive && rng.IntN(3) == 0
	for done := t.Return + length; w.clock.now() < done && ctx.Err() == nil && w.calm.Load() == t.Calm; {
		do(rng, t, lock)
		if extend && ctx.Err() == nil {
			short, cancel := context.WithTimeout(ctx, w.Run.TTL/4)
			_ = lock.Extend(short) // what it was worth, the context and Until say
			cancel()
		}
		if until := w.clock.at(lock.Until()); until > t.Until {
			t.Until = until
			w.going(t)
		}
		rest := time.NewTimer(w.Run.TTL / 100)
		select {
		case <-ctx.Done():
		case <-rest.C:
		}
		rest.Stop()
	}

	end(t, lock.Until())
	release, cancel := context.WithTimeout(context.Background(), w.Run.TTL)
	defer cancel()
	if err := lock.Unlock(release); err != nil {
		t.Denied = err.Error()
	}
	t.Unlocked = w.clock.now()
}

// awaitEnd waits for the end of a lock, that of its context. The holder calls end where it
// does not rely on the lock any more, and then unlocks it.
func (w *worker) awaitEnd(ctx context.Context) (end func(t *Try, until time.Time)) {
	var ended atomic.Int64 // when the context did, as this process saw it
	seen := make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		ended.Store(int64(w.clock.now()))
		close(seen)
	})
	return func(t *Try, until time.Time) {
		defer forget()
		cause := context.Cause(ctx)
		held := ctx.Err() == nil
		t.Unlock = w.clock.now()
		t.Until = w.clock.at(until)
		t.End = min(t.Unlock, t.Until)
		if !held {
			<-seen
			t.End = min(t.End, time.Duration(ended.Load()))
			if cause == nil {
				cause = context.Cause(ctx)
			}
			t.Lost = cause.Error()
		}
		w.going(t)
	}
}

// increment adds one to each counter of the lock's resource.
func (w *worker) increment(rng *rand.Rand, t *Try) {
	think := w.Run.TTL / 60
	if rng.IntN(4) == 0 {
		think = w.Run.TTL / 8 // long enough to be stopped in
	}
	index := len(t.Writes)
	going := func(u, f Write, what string) (name string) {
		if what != "" {
			name = fmt.Sprintf("%d.%d.%d.%d.%s", t.Client, w.Life, t.Call, index, what)
		}
		now := *t
		now.Writes = nil
		w.say(word{Going: &step{Try: now, Index: index, Pair: &[2]Write{u, f}, Done: name}})
		return name
	}
	var err error

	u := Write{Begun: w.clock.now()}
	if u.Value, err = w.resource.read(t.Name); err != nil {
		w.fatal(err)
	}
	u.Read = w.clock.now()
	f := Write{Fenced: true, Begun: w.clock.now()}
	value, ok, err := w.resource.claim(t.Name, going(u, f, "claim"), t.Token)
	if err != nil {
		w.fatal(err)
	}
	f.Read, f.Value, f.Refused = w.clock.now(), value, !ok

	time.Sleep(time.Duration(rng.Int64N(int64(think))))

	u.Sent = w.clock.now()
	if err := w.resource.write(t.Name, going(u, f, "unfenced"), u.Value+1); err != nil {
		w.fatal(err)
	}
	u.Done = w.clock.now()
	if ok {
		f.Sent = w.clock.now()
		if ok, err = w.resource.writeFenced(t.Name, going(u, f, "fenced"), t.Token, f.Value+1); err != nil {
			w.fatal(err)
		}
		f.Done, f.Refused = w.clock.now(), !ok
	}
	t.Writes = append(t.Writes, u, f)
	going(u, f, "")
}

// going says how far a try has come.
func (w *worker) going(t *Try) {
	now := *t
	now.Writes = nil
	w.say(word{Going: &step{Try: now}})
}

// calmBound is how long a client may take for each lock when the faults have ended: a
// lock that was not released has to expire, connections are made anew, and other clients come
// first; so may the queue position of a killed process, for two seconds. With a
// guard, servers that came back last do not count for a while. Candidates follow one another,
// each after four round trips, and so do publishers.
func calmBound(run Run) time.Duration {
	bound := 3*run.TTL + 4*time.Second
	if run.Guard {
		bound += 2 * run.TTL
	}
	if run.values() {
		bound += 6 * time.Second
	}
	return bound
}

// closeBound is how long a Locker may take to settle its pending releases when the faults
// have ended: after an unknown outcome a release stays pending for a TTL, or two for an extension.
func closeBound(ttl time.Duration) time.Duration { return 5*ttl + 10*time.Second }
