package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A worker is a process that runs every n-th seed. What it has to say is JSON on its
// standard output.

// A report is what a worker says after some runs, and at its end.
type report struct {
	Runs int      // until now
	End  *finding // nil if it goes on
}

// A finding is what a worker found out.
type finding struct {
	Tally *tally
	Seed  uint64 // of the run that broke a rule, inside the assumptions
	Rule  string
	Story string // as it happened
}

// seedAt is the n-th seed that is run.
func (o options) seedAt(n uint64) uint64 {
	switch seed := o.seed + n; {
	case o.values:
		return 4*seed + valuesIn4
	case o.slots:
		return 8*seed + slotsIn8
	case o.shared:
		return 4*seed + sharedIn4
	default:
		return seed
	}
}

func (o options) draw(seed uint64) *schedule {
	plan := draw(seed, o.outside)
	plan.Real = o.real
	plan.Events = slices.DeleteFunc(plan.Events, func(e event) bool { return string(e.Kind) == o.without })
	if o.without == rushName {
		plan.Rush = 0
	}
	return plan
}

// work runs a worker's share. It reports after some runs how many there were.
func work(t *testing.T, o options, report func(runs int)) finding {
	f := finding{Tally: newTally()}
	for n := o.part; n < o.runs; n += o.workers {
		plan := o.draw(o.seedAt(n))
		w := simulate(t, plan, false)
		f.Tally.count(w)
		if f.Tally.Runs%64 == 0 {
			runtime.GC() // between runs, and never in one
			report(f.Tally.Runs)
		}
		if w.broken == nil || o.outside {
			continue
		}
		f.Seed, f.Rule = plan.Seed, w.broken.Rule
		if !o.brief {
			f.Story = story(t, plan, w)
		}
		break
	}
	return f
}

// story is the shortest timeline that breaks the same rule.
func story(t *testing.T, plan *schedule, w *world) string {
	rule := w.broken.Rule
	runs := 0
	short := plan
	if rule != nothingLeft { // what is left would be left each time
		short = shrink(plan, func(p *schedule) bool {
			runs++
			w := simulate(t, p, false)
			return w.broken != nil && w.broken.Rule == rule
		})
	}
	again := simulate(t, short, true)
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d of %d events left after %d runs; %d nodes (rates %v ppm), TTL %v, node timeout %v, clients %+v\n\n",
		plan.Seed, len(short.Events), len(plan.Events), runs, short.Nodes, short.NodeRates, short.TTL, short.NodeTimeout, short.Clients)
	again.write(&b)
	if again.broken == nil {
		why := "this program is not deterministic"
		if plan.Real {
			why = "clients do at chance what they do at one instant; try it a few times"
		}
		fmt.Fprintf(&b, "\nbut when it was run again nothing was broken: %s\n", why)
		return b.String()
	}
	fmt.Fprintf(&b, "\nVIOLATED: %s\n%s\n", again.broken.Rule, again.broken.Text)
	return b.String()
}

// begin is what a worker process does.
func begin(o options) {
	inTest(func(t *testing.T) int {
		deepen()
		defer steady()()
		out := json.NewEncoder(os.Stdout)
		f := work(t, o, func(runs int) {
			if out.Encode(report{Runs: runs}) != nil {
				os.Exit(2) // the reader is gone
			}
		})
		if out.Encode(report{f.Tally.Runs, &f}) != nil {
			return 2
		}
		return 0
	})
}
