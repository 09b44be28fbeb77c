package main

import (
	"os"
	"slices"
	"testing"
	"time"
)

func killRun(kills int, seed uint64) Run {
	return options{kills: kills, ttl: 2 * time.Second, fencing: true, seed: seed}.plan()
}

// Leaders are killed, 100 of them with REDLOCK_LONG=1: never do two lead whose contexts are
// alive, each finds what the one before it has proclaimed last, and observers are told of every
// leader in order, and of its end in time.
func TestLeadersAreKilledOverAndOverAgain(t *testing.T) {
	needServers(t)
	wanted := 3
	if os.Getenv("REDLOCK_LONG") != "" {
		wanted = 100
	}
	lacks := "it was not run"
	// On a busy machine one run with few kills may show little.
	for seed := uint64(0); seed < 4 && lacks != ""; seed++ {
		run := killRun(wanted, seed)
		h := play(t, run, schedule(run))
		verdicts := check(h)
		for _, v := range verdicts {
			t.Logf("%s %s: %s", v.Claim, v.State, v.Detail)
			if v.State == violated {
				t.Errorf("%s: %s; %v", v.Claim, v.Detail, v.Marks)
			}
		}
		for _, c := range countKinds(h.Faults) {
			if c.Fired > 0 {
				t.Logf("%s: fired %d times, felt %d times", c.Kind, c.Fired, c.Felt)
			}
		}
		c := countKills(h, verdicts)
		t.Logf("\n%v", c)
		lacks = c.lacks(h.Run)
		if t.Failed() {
			return
		}
	}
	if lacks != "" {
		t.Error(lacks)
	}
}

func TestWhileLeadersAreKilledFaultsTouchAMinorityAndStopLeadersOnly(t *testing.T) {
	for seed := range uint64(10) {
		run := killRun(100, seed)
		kills, stops, kinds := 0, 0, make(map[kind]int)
		for _, f := range schedule(run) {
			kinds[f.Kind]++
			switch {
			case f.End > run.Length:
				t.Errorf("seed %d: %v ends at %v of %v", seed, f, f.End, run.Length)
			case f.Kind == die && f.How == leading:
				kills++
			case f.Kind == stop && f.How == leading && f.End-f.Begin > run.TTL:
				stops++
			case f.Kind.ofWorker():
				t.Errorf("seed %d: %v of another worker than the leader's", seed, f)
			case f.Kind == lateEmpty, outside[f.Kind] > 0:
				t.Errorf("seed %d: %v", seed, f)
			}
			first := 2 * int(f.Begin/(10*run.TTL)) % run.Nodes
			for _, n := range f.Nodes {
				if n != first && n != (first+1)%run.Nodes {
					t.Errorf("seed %d: %v at %v, when only %d and the next one fail", seed, f, f.Begin, first)
				}
			}
		}
		if kills < 100*9/8 || stops < 5 {
			t.Errorf("seed %d: %d kills, %d leaders stopped", seed, kills, stops)
		}
		for k := range inside {
			if k != lateEmpty && kinds[k] < 5 {
				t.Errorf("seed %d: %s comes %d times in %v", seed, k, kinds[k], run.Length)
			}
		}
	}
}

func TestWhereLeadersAreKilledServersForgetOnlyOutside(t *testing.T) {
	o := options{kills: 100, ttl: 2 * time.Second, outside: true, guard: true}
	if !slices.ContainsFunc(schedule(o.plan()), func(f Fault) bool { return f.Kind == forget }) {
		t.Error("no server forgets")
	}
}

func TestARunThatKilledTooFewLeadersSaysSo(t *testing.T) {
	h := proclaimed()
	verdicts := check(h)
	c := countKills(h, verdicts)
	if want := (killCount{killed: 1, leaders: 3, inherited: 1, told: 3}); c.killed != want.killed || c.leaders != want.leaders ||
		c.inherited != want.inherited || c.told != want.told || c.ends.count != 1 || c.ends.inTime != 1 || c.ends.prompt != 1 || c.lacking != "0" {
		t.Errorf("%+v", c)
	}
	h.Run.Outside = true
	if c := countKills(h, check(h)); c.lacking != "not checked" {
		t.Errorf("%s where servers forget", c.lacking)
	}
	h.Run.Outside = false
	for name, run := range map[string]struct {
		lacks bool
		plant func(h *History)
	}{
		"as many as were wanted":            {false, func(h *History) { h.Run.Kills = 1 }},
		"fewer":                             {true, func(h *History) { h.Run.Kills = 2 }},
		"killed when it led no more":        {true, func(h *History) { h.Run.Kills = 1; h.Tries[1].Until = 80 * ms }},
		"it had proclaimed nothing":         {true, func(h *History) { h.Run.Kills = 1; h.Tries[2].Led.Previous = nil }},
		"the end came before it was due":    {true, func(h *History) { h.Run.Kills = 1; h.Calm.Begun = time.Second }},
		"no kills were wanted, none counts": {false, func(h *History) { h.Tries[1].Until = 80 * ms }},
	} {
		h := proclaimed()
		run.plant(h)
		if lacks := countKills(h, nil).lacks(h.Run); (lacks != "") != run.lacks {
			t.Errorf("%s: %q", name, lacks)
		}
	}
}
