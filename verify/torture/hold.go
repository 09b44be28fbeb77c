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

// try asks for a lock, or some, in one of the ways in which one can ask, and does some work if
// that is granted.
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
	if w.Run.Clients[t.Client].Role == acquirer {
		length = between(w.Run.TTL/40, w.Run.TTL/4) // for some of them to find all slots taken
	}
	if rng.IntN(12) == 0 {
		length = between(w.Run.TTL/2, w.Run.TTL*2)
	}
	patience := between(w.Run.TTL, w.Run.TTL*3)
	if rng.IntN(8) == 0 {
		patience = between(w.Run.TTL/100, w.Run.TTL/4) // it is cancelled in the midst of it
	}
	manner := w.decide(rng, t)
	if t.Calm {
		patience, length = calmBound(w.Run), w.Run.TTL/500
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	t.Call = w.clock.now()
	w.going(t)
	lock, err := w.ask(ctx, t, manner, opts...)
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
	share := never
	if w.downgrades(t) && rng.IntN(3) == 0 {
		share = t.Return + time.Duration(rng.Int64N(int64(length)))
	}
	for done := t.Return + length; w.clock.now() < done && ctx.Err() == nil && w.calm.Load() == t.Calm; {
		if t.Shared == 0 && w.clock.now() > share {
			w.downgrade(ctx, t, lock)
		}
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

// increment adds one to each counter of the lock's resource, of each lock that is held alone.
func (w *worker) increment(rng *rand.Rand, t *Try, _ *redlock.Lock) {
	if t.Reader || t.Shared > 0 {
		return
	}
	for _, name := range t.names() {
		w.incrementOne(rng, t, name)
	}
}

func (w *worker) incrementOne(rng *rand.Rand, t *Try, name string) {
	think := w.Run.TTL / 60
	if rng.IntN(4) == 0 {
		think = w.Run.TTL / 8 // long enough to be stopped in
	}
	index := len(t.Writes)
	going := func(u, f Write, what string) (id string) {
		if what != "" {
			id = fmt.Sprintf("%d.%d.%d.%d.%s", t.Client, w.Life, t.Call, index, what)
		}
		now := *t
		now.Writes = nil
		w.say(word{Going: &step{Try: now, Index: index, Pair: &[2]Write{u, f}, Done: id}})
		return id
	}
	var err error

	of := ""
	if t.Names != nil {
		of = name
	}
	u := Write{Name: of, Begun: w.clock.now()}
	if u.Value, err = w.resource.read(name); err != nil {
		w.fatal(err)
	}
	u.Read = w.clock.now()
	f := Write{Name: of, Fenced: true, Begun: w.clock.now()}
	value, ok, err := w.resource.claim(name, going(u, f, "claim"), t.Token)
	if err != nil {
		w.fatal(err)
	}
	f.Read, f.Value, f.Refused = w.clock.now(), value, !ok

	time.Sleep(time.Duration(rng.Int64N(int64(think))))

	u.Sent = w.clock.now()
	if err := w.resource.write(name, going(u, f, "unfenced"), u.Value+1); err != nil {
		w.fatal(err)
	}
	u.Done = w.clock.now()
	if ok {
		f.Sent = w.clock.now()
		if ok, err = w.resource.writeFenced(name, going(u, f, "fenced"), t.Token, f.Value+1); err != nil {
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
