package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Sets of names, readers and slots, beside a Lock and beside peers: what each costs as a ratio in one
// run, and what the ratio should be.

// kindsCommand makes this program measure them, and nothing else.
const kindsCommand = "kinds"

type kindsOptions struct {
	rounds int           // in which all are measured in turn
	length time.Duration // of one measurement of cycles
	crowd  time.Duration // of one measurement of workers that want the same key
	held   int           // held of each kind for the memory figure
	weigh  int           // rounds of that
	watch  time.Duration // how long they are held
	only   string        // a part of the names of what to measure
	raw    string
}

func beKinds(args []string, out, progress io.Writer) error {
	var o kindsOptions
	flags := flag.NewFlagSet(kindsCommand, flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 9, "rounds; every contender is measured once in each")
	flags.DurationVar(&o.length, "time", 80*time.Millisecond, "length of one measurement of cycles")
	flags.DurationVar(&o.crowd, "crowd-time", time.Second, "length of one measurement of workers that want the same key")
	flags.IntVar(&o.held, "held", 10_000, "locks, readers and permits to hold with keep-alive for the memory figure; 0 for none")
	flags.IntVar(&o.weigh, "held-rounds", 3, "rounds of that")
	flags.DurationVar(&o.watch, "held-for", idleWatch, "how long they are held: for more than two renewals by default")
	flags.StringVar(&o.only, "only", "", "measure only what has this in the name of its line, such as \"slots\" (--held 0 leaves memory out)")
	flags.StringVar(&o.raw, "raw", "", "file for the raw output, JSON lines")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	return runKinds(o, out, progress)
}

// A side is one contender of a comparison.
type side struct {
	entry
	slice func() measurement // measures once
}

// A comparison measures two sides in turn.
type comparison struct {
	what       string
	ours, peer *side
	figure     figure
	times      float64 // the peer's figure counts so many times
	want       bound
}

// A figure is what is compared of a measurement.
type figure struct {
	name string
	of   func(measurement) float64
	text func(float64) string
}

var (
	cycleTime = figure{"p50", func(m measurement) float64 { return float64(m.Lock.P50) },
		func(f float64) string { return short(time.Duration(f)) }}
	perSecond = figure{"per second", measurement.rate,
		func(f float64) string { return fmt.Sprintf("%.0f", f) }}
)

// A bound is what a ratio, or a figure, should keep.
type bound struct {
	least bool // it should be at least the limit; otherwise at most
	limit float64
}

// kept says whether the median of the rounds keeps it.
func (b bound) kept(ratios []float64) bool {
	if len(ratios) == 0 {
		return false // nothing was measured
	}
	if b.least {
		return median(ratios) >= b.limit
	}
	return median(ratios) <= b.limit
}

func (b bound) String() string {
	if b.least {
		return fmt.Sprintf("at least %.4g", b.limit)
	}
	return fmt.Sprintf("at most %.4g", b.limit)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// run measures both sides, and the other one first in every second round: a machine that becomes slower
// meanwhile favors neither.
func (c *comparison) run(round int, raw *rawFile) error {
	sides := []*side{c.ours, c.peer}
	if round%2 == 1 {
		slices.Reverse(sides)
	}
	for _, s := range sides {
		m := s.slice()
		if m.Cycles == 0 && m.Failed > 0 {
			return fmt.Errorf("%s: %s: %s", c.what, s.lib, m.Error)
		}
		if round == 0 {
			continue // makes connections, loads scripts
		}
		s.rounds = append(s.rounds, m)
		if err := raw.write(kindsRecord{c.what, round, s.lib, m}); err != nil {
			return err
		}
	}
	return nil
}

// A kindsRecord is one line of the raw output.
type kindsRecord struct {
	What  string
	Round int
	Lib   string
	measurement
}

func (c *comparison) ratios() []float64 {
	ratios := pairwise(each(c.ours.rounds, c.figure.of), each(c.peer.rounds, c.figure.of))
	for i := range ratios {
		ratios[i] /= cmp.Or(c.times, 1)
	}
	return ratios
}

func (c *comparison) String() string {
	of := func(s *side) string { return c.figure.text(median(each(s.rounds, c.figure.of))) }
	peer := c.peer.lib + ": " + of(c.peer)
	if c.times > 0 {
		peer = fmt.Sprintf("%.0f times %s", c.times, peer)
	}
	ratios := c.ratios()
	return fmt.Sprintf("| %s, %s | %s | %s | %s | %v | %s |", c.what, c.figure.name, of(c.ours), peer,
		spread(ratios, "%.2f"), c.want, yesNo(c.want.kept(ratios)))
}

func runKinds(o kindsOptions, out, progress io.Writer) (err error) {
	raw, err := createRaw(o.raw)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	m := thisMachine()
	if err := raw.write(m); err != nil {
		return err
	}
	k, err := connectKinds(o)
	defer func() { err = errors.Join(err, k.close()) }()
	if err != nil {
		return err
	}
	k.comparisons = slices.DeleteFunc(k.comparisons, func(c *comparison) bool { return !strings.Contains(c.what, o.only) })
	k.writers = slices.DeleteFunc(k.writers, func(w *writerAmongReaders) bool { return !strings.Contains(w.what, o.only) })
	for round := range o.rounds + 1 { // the first one does not count
		fmt.Fprintf(progress, "round %d of %d\n", round, o.rounds)
		for _, c := range k.comparisons {
			if err := c.run(round, raw); err != nil {
				return err
			}
		}
		for _, w := range k.writers {
			if err := w.run(round, raw); err != nil {
				return err
			}
		}
	}
	if err := k.stillHalfFull(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%v\n%s\n", m, kindsSettings())
	fmt.Fprintf(out, "%d rounds, in turn: %v for cycles, %v for workers that want the same key. Medians of the rounds; ratios within a round, quartiles in brackets.\n\n", o.rounds, o.length, o.crowd)
	fmt.Fprint(out, "| | ours | compared with | ratio (quartiles) | should be | is it |\n|---|---|---|---|---|---|\n")
	for _, c := range k.comparisons {
		fmt.Fprintln(out, c)
	}
	for _, w := range k.writers {
		fmt.Fprintln(out, w)
	}
	if o.held > 0 {
		if err := weighKinds(k.nodes, o, raw, out, progress); err != nil {
			return err
		}
	}
	k.writeSides(out)
	return nil
}

// writeSides prints all that was measured: a cycle, or the wait for a key that others want too.
func (k *kinds) writeSides(out io.Writer) {
	fmt.Fprint(out, "\n| in | contender | per second | p50 / p99 / max | client CPU each | allocs | B | failed |\n|---|---|---|---|---|---|---|---|\n")
	line := func(what string, s *side) {
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %.1f | %.0f | %s |\n", what, s.lib,
			spread(each(s.rounds, measurement.rate), "%.0f"),
			s.latencies(func(m measurement) latencies { return m.Lock }),
			short(median(each(s.rounds, func(m measurement) time.Duration { return m.CPU }))),
			median(each(s.rounds, func(m measurement) float64 { return m.Allocs })),
			median(each(s.rounds, func(m measurement) float64 { return m.Bytes })),
			s.failures())
	}
	for _, c := range k.comparisons {
		line(c.what, c.ours)
		line(c.what, c.peer)
	}
	for _, w := range k.writers {
		line(w.what, &w.readers)
	}
}
