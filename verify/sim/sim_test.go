package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// program builds the program as users do. With the race detector the runtime would run
// goroutines in random order, on purpose.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sim")
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return path
}

func TestTheSameSeedGivesTheSameTimeline(t *testing.T) {
	path := program(t)
	var timelines [2][]byte
	for i := range timelines {
		var err error
		if timelines[i], err = exec.CommandContext(t.Context(), path, "--trace", "100", "--seed", "0").Output(); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Count(timelines[0], []byte("ALL FAULTS END")) != 100 {
		t.Errorf("these are no 100 timelines:\n%s", timelines[0])
	}
	if bytes.Equal(timelines[0], timelines[1]) {
		return
	}
	seed, a, b := "", strings.Split(string(timelines[0]), "\n"), strings.Split(string(timelines[1]), "\n")
	for i := range min(len(a), len(b)) {
		if strings.HasPrefix(a[i], "seed ") {
			seed = a[i]
		}
		if a[i] != b[i] {
			t.Fatalf("%s: line %d is once\n%s\nand once\n%s", seed, i+1, a[i], b[i])
		}
	}
}

func TestALongRunSaysHowFarItIs(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), program(t), "--runs", "1000", "--progress", "1ms")
	var progress bytes.Buffer
	cmd.Stderr = &progress
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.Bytes())
	}
	if !bytes.Contains(out, []byte("\n1000 schedules in ")) {
		t.Errorf("it ends with\n%s", out)
	}
	last, early := 0, 0
	for line := range strings.Lines(progress.String()) {
		var done, rate int
		if _, err := fmt.Sscanf(line, "%d of 1000 schedules, %d a second, ", &done, &rate); err != nil || done < last || done > 1000 || rate == 0 || !strings.HasSuffix(line, "s left\n") {
			t.Errorf("after %d it says %q: %v", last, line, err)
		}
		if last = done; done < 500 {
			early++
		}
	}
	if last < 500 || early == 0 {
		t.Errorf("it says %d times that it has done less than half, and at last %d", early, last)
	}
}

func TestWhatWouldLookAtNothingIsRefused(t *testing.T) {
	for _, args := range [][]string{{"--runs", "0"}, {"--workers", "0"}, {"extra", "--runs", "1"}, {"--mutants", "--only", "typo"}, {"--values", "--slots"}} {
		out, err := exec.CommandContext(t.Context(), program(t), args...).CombinedOutput()
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() != 2 || !strings.HasPrefix(string(out), "sim: ") {
			t.Errorf("%q: %v, %q", args, err, out)
		}
	}
}

func TestAMutantIsFoundByItsRule(t *testing.T) {
	var said bytes.Buffer
	if err := killMutants(t.Context(), options{only: "the drift is added", seed: 1}, &said); err != nil {
		t.Error(err)
	}
	if want := "found after"; !strings.Contains(said.String(), want) || !strings.Contains(said.String(), carried) {
		t.Errorf("it says %q, not %q", said.String(), want)
	}
}

func TestInsideTheAssumptionsNoRuleIsBroken(t *testing.T) {
	runs := uint64(800)
	rare := []string{"a server granted another slot than the majority", "an attempt that came again found its slot"}
	if raceEnabled {
		runs, rare = 100, nil
	}
	defer steady()()
	f := work(t, options{runs: runs, workers: 1, seed: 1}, func(int) {})
	if f.Rule != "" {
		t.Errorf("%s", f.Story)
	}
	if f.Tally.Locks < int(runs) {
		t.Errorf("only %d locks were granted in %d runs", f.Tally.Locks, runs)
	}
	for _, fault := range append(rare, "a connection broke", "a node was down", "a node was frozen", "a reply was lost", "a request was doubled", "a request was lost", "event: die", "event: restart", "event: set client clock", "event: slow",
		"a call was stopped between two requests", "event: tear", "event: restart empty", "event: restart of old", "event: flush", "a node was in quarantine",
		"an idle connection had ended", "a dial was slow", "a proxy answered", "a server was no master for a while", "some tried a free lock at one instant",
		"a leader was elected", "a leader was read", "nobody led", "a value was proclaimed", "an observer was notified", "a value was published", "a value was read", "a watcher was notified",
		"event: try campaign", "event: publish as holder",
		"event: async all", "event: try all", "event: try read", "a set was granted", "a key of a set was deleted by hand",
		"a reader was let in", "readers held a lock together", "a holder became a reader", "a reader was kept out for a writer", "readers came in a stream",
		"event: try slot", "event: do with slot", "a permit was granted", "permits were held together") {
		if f.Tally.Did[fault] == 0 {
			t.Errorf("%q never happened", fault)
		}
	}
}

// A search for two holders has to see them where there are some.
func TestOutsideTheAssumptionsTwoHoldAtOnceAndThatIsSeen(t *testing.T) {
	defer steady()()
	f := work(t, options{runs: 120, workers: 1, seed: 1, outside: true}, func(int) {})
	if f.Tally.Broken[oneHolder] == 0 {
		t.Errorf("in %d runs that lose data, or set the clocks of nodes, no two held one lock: %v", f.Tally.Runs, f.Tally.Broken)
	}
}

func TestAStoryHasFewerEventsThanTheScheduleAndEndsWithTheRule(t *testing.T) {
	defer steady()()
	for seed := uint64(1); seed < 300; seed++ {
		plan := draw(seed, true)
		w := simulate(t, plan, false)
		if w.broken == nil || w.broken.Rule != oneHolder {
			continue
		}
		text := story(t, plan, w)
		end := text[strings.LastIndex(text, "VIOLATED"):]
		if !strings.HasPrefix(end, "VIOLATED: "+oneHolder+"\n") || strings.Contains(text, "not deterministic") {
			t.Errorf("the story does not end with the rule:\n%s", text)
		}
		var left, of int
		if _, err := fmt.Sscanf(text, fmt.Sprintf("seed %d, %%d of %%d events left", seed), &left, &of); err != nil || left == 0 || left > 6 || left >= of {
			t.Errorf("%d of %d events are left (%v):\n%s", left, of, err, text)
		}
		return
	}
	t.Error("no schedule lets two hold a lock")
}

func TestShrinkingLeavesTheEventsThatItTakes(t *testing.T) {
	plan := &schedule{Events: make([]event, 40)}
	for i := range plan.Events {
		plan.Events[i].Call = i
	}
	needed := []int{3, 17, 38}
	short := shrink(plan, func(p *schedule) bool {
		for _, call := range needed {
			if !slices.ContainsFunc(p.Events, func(e event) bool { return e.Call == call }) {
				return false
			}
		}
		return true
	})
	var left []int
	for _, e := range short.Events {
		left = append(left, e.Call)
	}
	if !slices.Equal(left, needed) {
		t.Errorf("left are %v, needed %v", left, needed)
	}
	if len(plan.Events) != 40 {
		t.Error("the schedule itself was changed")
	}
}

// What is to be broken has to be there: code that was changed takes its mutants along.
func TestEveryMutantFindsItsText(t *testing.T) {
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, m := range mutants {
		if _, err := m.overlay(root, t.TempDir()); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if names[m.name] {
			t.Errorf("two mutants are called %q", m.name)
		}
		names[m.name] = true
	}
}
