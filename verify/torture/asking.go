package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/redlock"
)

// A manner is how a client asks for what it wants: a lock for itself, several at once, one to read, or
// a slot of a semaphore. (That is in its Try.)
type manner struct {
	method string // of the Locker, or of the Semaphore
	fair   bool
}

// mostAtOnce is how many locks are wanted at once at most. With a lock more, callers overlap that
// do not want the same.
const mostAtOnce = 3

// decide draws what a client wants, and how it asks, and notes it.
func (w *worker) decide(rng *rand.Rand, t *Try) manner {
	kind, how, fair := rng.IntN(10), rng.IntN(10), rng.IntN(4) == 0
	if w.Run.Clients[t.Client].Role == acquirer {
		w.wantSlot(t)
	}
	switch {
	case t.Calm: // it is decided what it wants
		how, fair = 0, false
	case w.Run.Clients[t.Client].Role != "":
	case kind < 3:
		t.Reader = true
	case kind < 5:
		t.wantMore(rng, w.Run.Names)
	}
	at := ""
	if t.Mode == together {
		how, at = 9, ", all at once"
	}
	m := manner{"Lock", fair || how == 4 || how == 5}
	switch {
	case t.Reader:
		m.method = "RLock"
	case t.Names != nil:
		m.method = "LockAll"
	case t.permitted():
		m.method = "Acquire"
	}
	switch {
	case how > 6:
		m.method = "Try" + m.method
	case how == 6 && !t.Reader && !t.permitted():
		m.method += "Async"
	}
	t.Mode = m.method
	if m.fair {
		t.Mode += " WithFair"
	}
	t.Mode += at
	return m
}

// wantMore has a try want one or two others of these locks besides its own, if there are any.
func (t *Try) wantMore(rng *rand.Rand, names []string) {
	others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == t.Name })
	if most := min(len(others), mostAtOnce-1); most > 0 {
		rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		t.wantAll(append(others[:1+rng.IntN(most)], t.Name))
	}
}

func (t *Try) wantAll(names []string) {
	t.Names = names
	t.Name = strings.Join(slices.Sorted(slices.Values(names)), ", ")
}

// wanted are the names that a client asks for.
func (r Run) wanted(c Client) []string {
	switch c.Role {
	case candidate:
		return r.Elections
	case publisher:
		return r.Paths
	case acquirer:
		return r.semaphoreNames()
	}
	return r.Names
}

// lastOf are what a client asks for when the faults have ended.
func (r Run) lastOf(client int) (all []Try) {
	c := r.Clients[client]
	for _, name := range r.wanted(c) {
		all = append(all, Try{Client: client, Name: name, Calm: true})
	}
	if c.Role == "" {
		all = append(all, Try{Client: client, Name: r.Names[0], Reader: true, Calm: true})
		if len(r.Names) > 1 {
			set := Try{Client: client, Calm: true}
			set.wantAll(r.Names[:min(mostAtOnce, len(r.Names))])
			all = append(all, set)
		}
	}
	return all
}

// ask asks for what t wants.
func (w *worker) ask(ctx context.Context, t *Try, m manner, opts ...redlock.LockOption) (*redlock.Lock, error) {
	if m.fair {
		opts = append(opts, redlock.WithFair())
	}
	var pending *redlock.Pending
	switch l := w.locker; m.method {
	case "Acquire", "TryAcquire":
		return w.acquire(ctx, t, m.method, opts...)
	case "RLock":
		return l.RLock(ctx, t.Name, opts...)
	case "TryRLock":
		return l.TryRLock(ctx, t.Name, opts...)
	case "LockAll":
		return l.LockAll(ctx, t.Names, opts...)
	case "TryLockAll":
		return l.TryLockAll(ctx, t.Names, opts...)
	case "Lock":
		return l.Lock(ctx, t.Name, opts...)
	case "TryLock":
		return l.TryLock(ctx, t.Name, opts...)
	case "LockAsync":
		pending = l.LockAsync(context.Background(), t.Name, opts...)
	default:
		pending = l.LockAllAsync(context.Background(), t.Names, opts...)
	}
	lock, err := pending.Wait(ctx)
	if err != nil {
		pending.Cancel()
	}
	return lock, err
}

// downgrades reports whether a hold may become that of a reader.
func (w *worker) downgrades(t *Try) bool {
	return !t.Reader && t.Names == nil && !t.Calm && w.Run.Clients[t.Client].Role == ""
}

// downgrade makes a holder a reader. It does not hold the lock alone any more, whatever came of it.
func (w *worker) downgrade(ctx context.Context, t *Try, lock *redlock.Lock) {
	short, cancel := context.WithTimeout(ctx, w.Run.TTL/4)
	defer cancel()
	t.Shared = w.clock.now()
	w.going(t)
	_ = lock.Downgrade(short) // what it was worth, the context and Until say
}
