package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// A tally is what many runs came to. It shows that what was to happen did happen: a fault
// that never fires tests nothing.
type tally struct {
	Runs     int
	Calls    int // of Lock, TryLock, LockAsync
	Locks    int // that were granted
	Messages int
	Did      map[string]int // by kind of fault, how often one had an effect
	Broken   map[string]int // by rule
	Longest  time.Duration  // that a free lock went unnoticed in calm weather
}

func newTally() *tally {
	return &tally{Did: make(map[string]int), Broken: make(map[string]int)}
}

// count adds one run.
func (t *tally) count(w *world) {
	t.Runs++
	t.Calls += len(w.calls)
	for _, s := range w.calls {
		if s.seen {
			t.Locks++
		}
	}
	for _, c := range append(slices.Clone(w.dead), w.clients...) {
		for _, l := range c.links {
			t.Messages += l.sent
		}
	}
	for what, n := range w.did {
		t.Did[what] += n
	}
	t.Longest = max(t.Longest, w.longest)
	if w.broken != nil {
		t.Broken[w.broken.Rule]++
	}
}

// add adds the counts of another process.
func (t *tally) add(other *tally) {
	t.Runs += other.Runs
	t.Calls += other.Calls
	t.Locks += other.Locks
	t.Messages += other.Messages
	for what, n := range other.Did {
		t.Did[what] += n
	}
	for rule, n := range other.Broken {
		t.Broken[rule] += n
	}
	t.Longest = max(t.Longest, other.Longest)
}

func (t *tally) write(out io.Writer, took time.Duration) {
	fmt.Fprintf(out, "%d schedules in %v, %.0f a second: %d calls, %d locks, %d messages\n",
		t.Runs, took.Round(time.Millisecond), float64(t.Runs)/took.Seconds(), t.Calls, t.Locks, t.Messages)
	fmt.Fprintf(out, "in calm weather a free lock went unnoticed for %v at most\n", t.Longest)
	for _, what := range slices.Sorted(maps.Keys(t.Did)) {
		fmt.Fprintf(out, "%9d  %s\n", t.Did[what], what)
	}
	for _, rule := range slices.Sorted(maps.Keys(t.Broken)) {
		fmt.Fprintf(out, "VIOLATED %d times: %s\n", t.Broken[rule], rule)
	}
}
