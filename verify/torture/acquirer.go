package main

import (
	"context"
	"slices"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// openSemaphores makes the semaphores of the run, with as many slots as this process gives them.
func (w *worker) openSemaphores() (err error) {
	w.semaphores = make(map[string]*semaphore.Semaphore)
	for _, s := range w.Run.Semaphores {
		if w.semaphores[s.Name], err = semaphore.New(w.locker, s.Name, s.Slots[w.Process]); err != nil {
			return err
		}
	}
	return nil
}

// wantSlot has a try want a slot of the semaphore that it names.
func (w *worker) wantSlot(t *Try) {
	i := slices.IndexFunc(w.Run.Semaphores, func(s Semaphore) bool { return s.Name == t.Name })
	t.Permit = &Permit{Semaphore: t.Name, Slots: w.Run.Semaphores[i].Slots[w.Process]}
}

// acquire asks for a slot, and notes which one was granted.
func (w *worker) acquire(ctx context.Context, t *Try, method string, opts ...redlock.LockOption) (*redlock.Lock, error) {
	s := w.semaphores[t.Permit.Semaphore]
	ask := s.Acquire
	if method == "TryAcquire" {
		ask = s.TryAcquire
	}
	p, err := ask(ctx, opts...)
	if err != nil {
		return nil, err
	}
	t.Permit.Slot = p.Slot()
	t.Name = slotName(t.Permit.Semaphore, p.Slot())
	return p.Lock(), nil
}
