package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The figures of so short a run mean nothing. That it ends without an error does: every contender was
// granted what it asked for, a half-full semaphore stayed half full, and a line came of each comparison.
func TestKindsPrintsALineForEveryTarget(t *testing.T) {
	raw := filepath.Join(t.TempDir(), "raw.jsonl")
	var out bytes.Buffer
	o := kindsOptions{rounds: 2, length: 10 * time.Millisecond, crowd: 50 * time.Millisecond, held: 64, weigh: 1, watch: time.Millisecond, raw: raw}
	if err := runKinds(o, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	targets, _, _ := strings.Cut(out.String(), "\n| in | contender |")
	for _, want := range []string{
		"| 8 names, p50 |", "| 8 names, per second |", "| 8 names, n=1, per second |", "| 8 names, n=1, not pipelined, per second |",
		"| a reader, p50 |", "| 32 workers read one key for 1 ms, per second |",
		"| a writer among 32 readers in its process", "| a writer among 32 readers in another one",
		"| a slot of a semaphore of 16, 8 of them held, p50 |", "| 64 workers, 16 slots, 1 ms, per second |",
		"| 64 held read locks, 16 to a name, memory of each |", "| 64 held read locks, 16 to a name, goroutines of the process |",
		"| 64 held permits, 16 to a semaphore, memory of each |", "| 64 held permits, 16 to a semaphore, goroutines of the process |",
	} {
		if n := strings.Count(targets, "\n"+want); n != 1 {
			t.Errorf("%d lines of targets begin with %q, want 1", n, want)
		}
	}
	lines, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	// Of two rounds: 8 pairs and 2 writers; of one: 3 kinds that are held; and the machine.
	if got, want := bytes.Count(lines, []byte("\n")), 2*(8*2+2)+3+1; got != want {
		t.Errorf("%d lines of raw output, want %d", got, want)
	}
}

func TestAComparisonTakesRatiosWithinARoundAndCountsThePeerSoManyTimes(t *testing.T) {
	rounds := func(rates ...int) *side {
		s := &side{entry: newEntry("a")}
		for _, r := range rates {
			s.rounds = append(s.rounds, measurement{Cycles: r, Elapsed: time.Second})
		}
		return s
	}
	c := comparison{ours: rounds(80, 800, 40), peer: rounds(10, 100, 10), figure: perSecond, times: 16, want: bound{least: true, limit: 0.8}}
	if got := median(c.ratios()); got != 0.5 {
		t.Errorf("the ratio is %v, want 0.5", got)
	}
	if line := c.String(); !strings.HasSuffix(line, "| at least 0.8 | no |") {
		t.Errorf("the line does not say that this is too little: %s", line)
	}
	c.times = 0
	if line := c.String(); !strings.HasSuffix(line, "| at least 0.8 | yes |") {
		t.Errorf("the line does not say that this is enough: %s", line)
	}
}

func TestTheSecondSideGoesFirstInEverySecondRound(t *testing.T) {
	var order string
	named := func(name string) *side {
		return &side{newEntry(name), func() measurement { order += name; return measurement{Cycles: 1} }}
	}
	c := comparison{ours: named("o"), peer: named("p")}
	for round := range 4 {
		if err := c.run(round, new(rawFile)); err != nil {
			t.Fatal(err)
		}
	}
	if order != "oppooppo" {
		t.Errorf("measured in the order %s", order)
	}
	if len(c.ours.rounds) != 3 || len(c.peer.rounds) != 3 {
		t.Errorf("%d and %d rounds count, want 3: the first is for warming up", len(c.ours.rounds), len(c.peer.rounds))
	}
}

func TestAPeerThatTakesNamesOneByOneGivesThemBackIfOneIsTaken(t *testing.T) {
	taken := errors.New("taken")
	held := 0
	one := func(err error) worker {
		return &kindWorker[int]{
			take: func() (int, error) {
				if err == nil {
					held++
				}
				return 0, err
			},
			give: func(int) error { held--; return nil },
		}
	}
	all := oneByOneWorker{one(nil), one(nil), one(taken), one(nil)}
	if err := all.Lock(); !errors.Is(err, taken) {
		t.Errorf("Lock returned %v", err)
	}
	if held != 0 {
		t.Errorf("%d names are still held", held)
	}
}
