// Sim runs random schedules of clients and faults against the real code of the lock, over
// models of Redis nodes and in virtual time, and looks after every step whether what is
// promised holds. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"testing"
	"time"
)

// options are the flags.
type options struct {
	runs    uint64
	seed    uint64
	outside bool
	real    bool
	values  bool
	shared  bool
	slots   bool
	trace   uint64
	mutants bool
	only    string
	without string
	workers uint64
	pause   time.Duration // between lines of progress
	part    uint64        // of a worker: which it is
	worker  bool
	brief   bool // of a worker: it does not print the story
}

func main() {
	o := parse()
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(2)
	}
	switch {
	case o.worker:
		begin(o)
	case o.trace > 0:
		trace(o)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	program, err := os.Executable()
	if err == nil && o.mutants {
		err = killMutants(ctx, o, os.Stdout)
	} else if err == nil {
		err = runAll(ctx, program, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
		os.Exit(1)
	}
}

func parse() (o options) {
	flag.Uint64Var(&o.runs, "runs", 10_000, "schedules to run")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the first; the others follow")
	flag.BoolVar(&o.outside, "outside", false, "leave the assumptions: lose data, set the clocks of nodes; fails if no rule is broken")
	flag.BoolVar(&o.real, "real", false, "go through real clients and adapters, and run the scripts as they are")
	flag.BoolVar(&o.values, "values", false, "only schedules with an election or a board: every fourth, from four times the seed on")
	flag.BoolVar(&o.shared, "shared", false, "only schedules with sets and readers: every fourth, from four times the seed on")
	flag.BoolVar(&o.slots, "slots", false, "only schedules with slots, sets, readers and plain locks: every eighth, from eight times the seed on")
	flag.Uint64Var(&o.trace, "trace", 0, "print the timelines of so many schedules, and nothing else")
	flag.BoolVar(&o.mutants, "mutants", false, "break the code in known ways; fails if a rule does not see one of them")
	flag.StringVar(&o.only, "only", "", "only the mutants with this in their names")
	flag.StringVar(&o.without, "without", "", "leave out this kind of event, such as \"idle cuts\" or \"rush\": to see what only it finds")
	flag.Uint64Var(&o.workers, "workers", 2, "processes")
	flag.DurationVar(&o.pause, "progress", 10*time.Second, "how often to say on standard error how far it is; 0 for never")
	flag.BoolVar(&o.worker, "worker", false, "be one of the processes")
	flag.BoolVar(&o.brief, "brief", false, "do not print the story")
	flag.Uint64Var(&o.part, "part", 0, "be this one of them")
	flag.Parse()
	return o
}

// check refuses what would look at nothing.
func (o options) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("%q is no flag: flags begin with --", flag.Arg(0))
	case o.runs == 0:
		return errors.New("--runs must be at least 1")
	case o.values && (o.shared || o.slots):
		return errors.New("--values excludes --shared and --slots: no schedule has both")
	case o.workers == 0:
		return errors.New("--workers must be at least 1")
	case o.mutants && !slices.ContainsFunc(mutants, o.wants):
		return fmt.Errorf("no mutant is called %q: their names are in verify/sim/mutants_table.go", o.only)
	}
	return nil
}

// trace ends the process when it has printed everything.
func trace(o options) {
	inTest(func(t *testing.T) int {
		defer steady()()
		for seed := o.seed; seed < o.seed+o.trace; seed++ {
			fmt.Printf("seed %d\n", seed)
			simulate(t, o.draw(seed), true).write(os.Stdout)
			runtime.GC()
		}
		return 0
	})
}

// runAll shares the runs between processes, and says what they came to.
func runAll(ctx context.Context, program string, o options, out io.Writer) error {
	begun := time.Now()
	all, err := share(ctx, program, o, os.Stderr)
	if err != nil {
		return err
	}
	total := newTally()
	var broken *finding
	for _, f := range all {
		total.add(f.Tally)
		if f.Rule != "" && broken == nil {
			broken = &f
		}
	}
	if broken != nil {
		fmt.Fprint(out, broken.Story)
	}
	fmt.Fprintln(out)
	total.write(out, time.Since(begun))
	switch {
	case broken != nil:
		return fmt.Errorf("seed %d breaks the rule %q", broken.Seed, broken.Rule)
	case o.outside && len(total.Broken) == 0:
		return fmt.Errorf("%d schedules that leave the assumptions broke no rule: either nothing went wrong in them, or the rules see nothing", total.Runs)
	}
	return nil
}
