// Package random is where the library's pauses get their randomness from, so that a
// simulation can repeat a run from its seed alone.
package random

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// seeded is what a simulation put in place of the process's own source, or nil.
var seeded atomic.Pointer[source]

type source struct {
	mu   sync.Mutex // a rand.Rand is for one goroutine
	rand *rand.Rand
}

// N is a random number in [0, n), as of [rand.N].
func N[Int ~int64](n Int) Int {
	if s := seeded.Load(); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return Int(s.rand.Int64N(int64(n)))
	}
	return rand.N(n)
}

// Seed makes all numbers of this process follow from a seed, until restore.
func Seed(seed uint64) (restore func()) {
	before := seeded.Swap(&source{rand: rand.New(rand.NewPCG(seed, 0))})
	return func() { seeded.Store(before) }
}
