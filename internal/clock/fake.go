package clock

import (
	"sync"
	"time"
)

// Fake is the system's clock with offsets, for tests: a machine that was suspended, a
// wall clock that was set. The zero value agrees with [System].
type Fake struct {
	mu   sync.Mutex
	wall time.Duration // how far the wall clock is ahead of System's
}

// Step moves the wall clock by d, backwards if d is negative, and leaves the
// monotonic clock alone: that is what setting the clock does, and, for a
// positive d, what a suspend of length d looks like afterwards.
func (f *Fake) Step(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wall += d
}

// Read returns the time now with the offset.
func (f *Fake) Read() Reading {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := System{}.Read()
	// Round(0) removes the monotonic reading from a time.Time: a stepped time must not be
	// compared by it.
	r.Wall = r.Wall.Round(0).Add(f.wall)
	return r
}
