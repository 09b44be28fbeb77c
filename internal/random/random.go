// Package random is the source of randomness for the library's pauses. A simulation sets a
// seed, and can repeat a run from it.
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
// In a simulation it follows from the seed, the instant of virtual time, and n. So the order
// in which goroutines call it at one instant does not matter, which no seed determines.
func N[Int ~int64](n Int) Int {
	if seed := seeded.Load(); seed != nil {
		return Int(rand.New(rand.NewPCG(*seed^uint64(n), uint64(time.Now().UnixNano()))).Int64N(int64(n)))
	}
	return rand.N(n)
}

// Apart is a delay to add to a timer, so that it does not fire at the same instant as another
// one. It is 0 outside a simulation. In virtual time two timers may have the same instant,
// and then the runtime chooses at random which one fires first (timer.rand in
// runtime/time.go): no seed determines that. The delay differs for each node, each kind of
// timer and each call. Otherwise a timer of 25 ms that is set when another one fires would
// meet a timer that was set for the sum.
//
// The kind is part of the seed, and nothing else. (Pending releases were called "debts", and calls in
// flight "flights".) To rename one makes other schedules of all, and
// the rare mutants of verify/sim are then found elsewhere, or not in their number of runs.
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

// Seed makes all numbers in this process follow from a seed, until restore.
func Seed(seed uint64) (restore func()) {
	before := seeded.Swap(&seed)
	return func() { seeded.Store(before) }
}
