package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bsm/redislock"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// whole has the worker do a cycle in Lock, so that what is measured of Lock is that of a cycle.
func whole(s session) session {
	return session{worker: func(key string) worker { return wholeCycles{s.worker(key)} }}
}

type wholeCycles struct{ inner worker }

func (w wholeCycles) Lock() error {
	if err := w.inner.Lock(); err != nil {
		return err
	}
	return w.inner.Unlock()
}

func (w wholeCycles) Unlock() error { return nil }

// A kindWorker takes something of ours or of a peer, and gives it back.
type kindWorker[H any] struct {
	take func() (H, error)
	give func(H) error
	held H
}

func (w *kindWorker[H]) Lock() (err error) {
	w.held, err = w.take()
	return err
}

func (w *kindWorker[H]) Unlock() error { return w.give(w.held) }

func unlock(l *redlock.Lock) error { return l.Unlock(context.Background()) }

func locks(l *redlock.Locker) session {
	return session{worker: func(key string) worker {
		return &kindWorker[*redlock.Lock]{take: func() (*redlock.Lock, error) { return l.Lock(context.Background(), key) }, give: unlock}
	}}
}

func readers(l *redlock.Locker) session {
	return session{worker: func(key string) worker {
		return &kindWorker[*redlock.Lock]{take: func() (*redlock.Lock, error) { return l.RLock(context.Background(), key) }, give: unlock}
	}}
}

func setOf(key string) []string {
	names := make([]string, setSize)
	for i := range names {
		names[i] = fmt.Sprintf("%s/%d", key, i)
	}
	return names
}

func sets(l *redlock.Locker) session {
	return session{worker: func(key string) worker {
		names := setOf(key)
		return &kindWorker[*redlock.Lock]{take: func() (*redlock.Lock, error) { return l.LockAll(context.Background(), names) }, give: unlock}
	}}
}

// trySlots and waitForSlots know one semaphore only.
func trySlots(s *semaphore.Semaphore) session {
	return slotWorkers(func() (*semaphore.Permit, error) { return s.TryAcquire(context.Background()) })
}

func waitForSlots(s *semaphore.Semaphore) session {
	return slotWorkers(func() (*semaphore.Permit, error) { return s.Acquire(context.Background()) })
}

func slotWorkers(take func() (*semaphore.Permit, error)) session {
	return session{worker: func(string) worker {
		return &kindWorker[*semaphore.Permit]{take: take, give: func(p *semaphore.Permit) error { return p.Release(context.Background()) }}
	}}
}

func obtainMulti(c *redislock.Client) session {
	return session{worker: func(key string) worker {
		names := setOf(key)
		return &kindWorker[*redislock.Lock]{
			take: func() (*redislock.Lock, error) {
				return c.ObtainMulti(context.Background(), names, 8*time.Second, nil)
			},
			give: func(l *redislock.Lock) error { return l.Release(context.Background()) },
		}
	}}
}

// oneByOne takes the names of a set one after the other, in the same order always.
func oneByOne(s session) session {
	return session{worker: func(key string) worker {
		var w oneByOneWorker
		for _, name := range setOf(key) {
			w = append(w, s.worker(name))
		}
		return w
	}}
}

type oneByOneWorker []worker

func (all oneByOneWorker) Lock() error {
	for i, w := range all {
		if err := w.Lock(); err != nil {
			return errors.Join(err, all[:i].Unlock())
		}
	}
	return nil
}

func (all oneByOneWorker) Unlock() error {
	var errs []error
	for _, w := range all {
		errs = append(errs, w.Unlock())
	}
	return errors.Join(errs...)
}
