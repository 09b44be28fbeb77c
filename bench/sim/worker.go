package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// A worker is a process that runs every n-th seed. What it found out is one JSON object on
// its standard output; before it, for people, what went wrong.

// A finding is what a worker says at its end.
type finding struct {
	Tally *tally
	Seed  uint64 // of the run that broke a rule, inside the assumptions
	Rule  string
	Story string // as it happened
}

func (o options) draw(seed uint64) *schedule {
	plan := draw(seed, o.outside)
	plan.Real = o.real
	return plan
}

// work runs a worker's share.
func work(t *testing.T, o options) finding {
	f := finding{Tally: newTally()}
	for n := o.part; n < o.runs; n += o.workers {
		plan := o.draw(o.seed + n)
		w := simulate(t, plan, false)
		f.Tally.count(w)
		if f.Tally.Runs%64 == 0 {
			runtime.GC() // between runs, and never in one
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
		f := work(t, o)
		if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
			return 2
		}
		return 0
	})
}
