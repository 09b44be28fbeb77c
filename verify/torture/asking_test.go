package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestLockersAskInAllMannersAndOthersForOneLockOnly(t *testing.T) {
	run := shortRun(1, 1)
	run.Names = []string{"A", "B", "C", "D"}
	run.Clients = append(run.Clients, Client{0, adapters[0], publisher})
	w := &worker{task: task{Run: run}}
	rng := rand.New(rand.NewPCG(1, 1))
	modes, sizes := make(map[string]int), make(map[int]int)
	for range 3000 {
		for _, mode := range []string{"", together} {
			try := Try{Name: "B", Mode: mode}
			m := w.decide(rng, &try)
			modes[try.Mode]++
			sizes[len(try.names())]++
			unique := slices.Compact(slices.Sorted(slices.Values(try.names())))
			if len(unique) != len(try.names()) || !slices.Contains(unique, "B") || try.Name != strings.Join(unique, ", ") {
				t.Fatalf("%+v", try)
			}
			if mode == together && !strings.HasPrefix(m.method, "Try") {
				t.Fatalf("%+v asks with %s", try, m.method)
			}
		}
		one := Try{Name: "B", Client: len(run.Clients) - 1}
		if w.decide(rng, &one); one.Reader || one.Names != nil {
			t.Fatalf("a publisher wants %+v", one)
		}
	}
	var missing []string
	for _, of := range []string{"Lock", "RLock", "LockAll"} {
		for _, manner := range []string{"", " WithFair"} {
			missing = append(missing, of+manner, "Try"+of+manner, "Try"+of+manner+", all at once")
			if of != "RLock" {
				missing = append(missing, of+"Async"+manner)
			}
		}
	}
	if missing = slices.DeleteFunc(missing, func(mode string) bool { return modes[mode] > 10 }); len(missing) > 0 || len(modes) != 22 {
		t.Errorf("%v; missing %q", modes, missing)
	}
	if len(sizes) != 3 || sizes[2] < 100 || sizes[3] < 100 {
		t.Errorf("locks at once: %v", sizes)
	}

	for _, last := range run.lastOf(0) {
		want := last
		if w.decide(rng, &last); last.Name != want.Name || last.Reader != want.Reader || strings.Contains(last.Mode, "Try") {
			t.Errorf("%+v, want %+v", last, want)
		}
	}
}
