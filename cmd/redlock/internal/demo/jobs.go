package demo

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// jobs is the work that needs the lock. Most of it is short; at times the
// script wants a holder that keeps the lock, so that it is lost.
type jobs struct {
	scale func(time.Duration) time.Duration

	mu   sync.Mutex    // protects long
	long chan struct{} // closed when the long job ends; nil while there is none
}

func (j *jobs) beginLong() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.long == nil {
		j.long = make(chan struct{})
	}
}

func (j *jobs) endLong() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.long != nil {
		close(j.long)
		j.long = nil
	}
}

func (j *jobs) longUntil() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.long
}

// work does one job under lock. It ends early if the lock is lost, as work
// should, or if ctx ends.
func (j *jobs) work(ctx context.Context, lock *redlock.Lock) {
	if !j.spend(ctx, lock, j.length()) {
		return
	}
	long := j.longUntil()
	if long == nil {
		return
	}
	select {
	case <-long:
	case <-lock.Context().Done():
	case <-ctx.Done():
	}
}

// length is too short to see for most jobs, and long enough for one of six.
func (j *jobs) length() time.Duration {
	if rand.N(6) == 0 {
		return j.scale(300*time.Millisecond + rand.N(500*time.Millisecond))
	}
	return j.scale(20*time.Millisecond + rand.N(60*time.Millisecond))
}

// spend lets time pass. It returns false if the lock was lost or ctx ended.
func (j *jobs) spend(ctx context.Context, lock *redlock.Lock, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-lock.Context().Done():
	case <-ctx.Done():
	}
	return false
}

// rest is the time between two jobs of a worker.
func (j *jobs) rest(ctx context.Context) {
	timer := time.NewTimer(j.scale(20*time.Millisecond + rand.N(150*time.Millisecond)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
