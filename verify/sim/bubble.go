package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
)

// A bubble of virtual time is to be had from the testing package only, and that wants a
// test: so the work of a process is done in one. That is what testing.Main is kept for.

// inTest calls do with a test, and ends the process with what it returns.
func inTest(do func(t *testing.T) (exit int)) {
	os.Args = os.Args[:1] // the flags are read; the flags of tests stay out
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "sim", F: func(t *testing.T) { os.Exit(do(t)) }}}, nil, nil)
}

// steady makes the order in which goroutines run follow from what they do: one at a time,
// and no garbage collection while a run goes on.
func steady() (restore func()) {
	procs := runtime.GOMAXPROCS(1)
	percent := debug.SetGCPercent(-1)
	return func() {
		runtime.GOMAXPROCS(procs)
		debug.SetGCPercent(percent)
	}
}

// deepen has new goroutines begin with the stack that most of those of a run come to need,
// which saves them from growing it, twice. The runtime takes the average of the stacks that
// it finds in use (GODEBUG=adaptivestackstart=1): so some are, as long as the process lives.
func deepen() {
	const many = 64
	var deep sync.WaitGroup
	for range many {
		deep.Add(1)
		go descend(&deep, 40) // ends with the process
	}
	deep.Wait()
	runtime.GC()
}

func descend(deep *sync.WaitGroup, calls int) byte {
	var space [100]byte
	if calls > 0 {
		return descend(deep, calls-1) + space[calls]
	}
	deep.Done()
	select {}
}

// simulate carries out a schedule in a bubble of its own.
func simulate(t *testing.T, plan *schedule, tracing bool) (w *world) {
	defer func() {
		// A bubble that ends with goroutines left panics here; the rule has said so.
		if r := recover(); r != nil && (w == nil || w.broken == nil) {
			panic(fmt.Sprintf("seed %d: %v", plan.Seed, r))
		}
	}()
	synctest.Test(t, func(*testing.T) { w = run(plan, tracing) })
	return w
}
