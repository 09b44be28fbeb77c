// Package random is where the library's pauses get their randomness from, so that a
// simulation can repeat a run from its seed alone.
package random

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// seeded is the seed that a simulation set, or nil.
var seeded atomic.Pointer[uint64]

// N is a random number in [0, n), as of [rand.N].
//
// In a simulation it follows from the seed, the instant of virtual time, and n: the order
// in which goroutines ask at one instant, which no seed says, does not matter.
func N[Int ~int64](n Int) Int {
	if seed := seeded.Load(); seed != nil {
		return Int(rand.New(rand.NewPCG(*seed^uint64(n), uint64(time.Now().UnixNano()))).Int64N(int64(n)))
	}
	return rand.N(n)
}

// Apart is by how much later a timer is to fire, so that it does not at the very instant
// of another one: not at all, but in a simulation. There the runtime chooses at random
// which of the two comes first (timer.rand in runtime/time.go), and no seed says how. It
// is another time for each node, for each kind of timer, and each time: what is given up
// and then waits 25 ms is else as late as what waits first.
func Apart(node fmt.Stringer, kind string) time.Duration {
	seed := seeded.Load()
	if seed == nil {
		return 0
	}
	const most = 10 * time.Microsecond
	sum := *seed ^ uint64(time.Now().UnixNano())
	for _, text := range [...]string{node.String(), kind} {
		for i := range len(text) {
			sum = (sum ^ uint64(text[i])) * 1099511628211 // FNV-1a
		}
	}
	return 1 + time.Duration((sum^sum>>32)%uint64(most))
}

// Seed makes all numbers of this process follow from a seed, until restore.
func Seed(seed uint64) (restore func()) {
	before := seeded.Swap(&seed)
	return func() { seeded.Store(before) }
}
