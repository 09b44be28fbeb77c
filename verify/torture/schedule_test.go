package main

import (
	"reflect"
	"testing"
	"time"
)

func TestASeedTellsTheSameStoryAgain(t *testing.T) {
	o := options{seed: 5, minutes: 5, ttl: 2 * time.Second, clients: 2, locks: 2}
	if !reflect.DeepEqual(schedule(o.plan()), schedule(o.plan())) {
		t.Error("two schedules of one seed differ")
	}
	other := o
	other.seed++
	if reflect.DeepEqual(schedule(o.plan()), schedule(other.plan())) {
		t.Error("two seeds have one schedule")
	}
}

func TestASchedulesFaultsStayInsideTheAssumptions(t *testing.T) {
	for seed := range uint64(30) {
		o := options{seed: seed, minutes: 3, ttl: 2 * time.Second, clients: 2, locks: 2}
		run := o.plan()
		faults := schedule(run)
		seen := make(map[kind]bool)
		for i, f := range faults {
			seen[f.Kind] = true
			if outside[f.Kind] > 0 {
				t.Errorf("seed %d: %v", seed, f)
			}
			if f.End > run.Length || f.End <= f.Begin {
				t.Errorf("seed %d: %v from %v to %v of %v", seed, f, f.Begin, f.End, run.Length)
			}
			if f.Kind == lateEmpty && f.End-f.Begin <= run.TTL*102/100 {
				t.Errorf("seed %d: it returns empty after %v, with a TTL of %v", seed, f.End-f.Begin, run.TTL)
			}
			down := 0
			for _, g := range faults[:i+1] {
				if g.Kind.takesDown() && g.End > f.Begin {
					down += len(g.Nodes)
				}
			}
			if down > mostDown {
				t.Errorf("seed %d: %d servers are down at %v", seed, down, f.Begin)
			}
			for _, g := range faults[:i] {
				if g.End > f.Begin && f.Process < 0 && g.Process < 0 && overlap(f.Nodes, g.Nodes) {
					t.Errorf("seed %d: %v and %v at once", seed, g, f)
				}
			}
		}
		for k := range inside {
			if !seen[k] {
				t.Errorf("seed %d: no %s in three minutes", seed, k)
			}
		}
	}
}

func overlap(a, b []int) bool {
	for _, n := range a {
		for _, m := range b {
			if n == m {
				return true
			}
		}
	}
	return false
}

func TestOutsideServersForget(t *testing.T) {
	o := options{seed: 1, minutes: 3, ttl: 2 * time.Second, clients: 2, locks: 2, outside: true}
	seen := make(map[kind]int)
	for _, f := range schedule(o.plan()) {
		seen[f.Kind]++
	}
	if seen[forget] == 0 || seen[wipe] == 0 {
		t.Errorf("%v: want %s and %s", seen, forget, wipe)
	}
}
