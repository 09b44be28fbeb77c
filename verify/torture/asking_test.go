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

func TestAcquirersAskForASlotOfAsManyAsTheirProcessGivesTheSemaphore(t *testing.T) {
	run := options{clients: 1, locks: 1, semaphores: 2, slots: 3}.plan()
	for _, c := range []struct {
		process, a, b int
	}{{0, 3, 2}, {1, 3, 4}, {2, 3, 2}, {3, 3, 4}} {
		client := slices.IndexFunc(run.Clients, func(r Client) bool { return r.Role == acquirer && r.Process == c.process })
		w := &worker{task: task{Run: run, Process: c.process}}
		rng := rand.New(rand.NewPCG(1, 1))
		modes := make(map[string]int)
		for range 300 {
			for name, slots := range map[string]int{"semaphore A": c.a, "semaphore B": c.b} {
				for _, mode := range []string{"", together} {
					try := Try{Client: client, Name: name, Mode: mode}
					w.decide(rng, &try)
					modes[try.Mode]++
					if try.Reader || try.Names != nil || !try.permitted() || *try.Permit != (Permit{Semaphore: name, Slots: slots}) {
						t.Fatalf("%+v %+v", try, try.Permit)
					}
				}
			}
		}
		for _, mode := range []string{"Acquire", "TryAcquire", "TryAcquire, all at once"} {
			if modes[mode] < 10 || modes[strings.Replace(mode, "Acquire", "Acquire WithFair", 1)] < 10 || len(modes) != 6 {
				t.Errorf("%s: %v", mode, modes)
			}
		}
		last := run.lastOf(client)
		if len(last) != 2 || last[0].Name != "semaphore A" || last[1].Name != "semaphore B" {
			t.Errorf("at last it asks for %+v", last)
		}
		for _, try := range last {
			if m := w.decide(rng, &try); m.method != "Acquire" {
				t.Errorf("at last it asks with %+v", m)
			}
		}
	}
	if names := strings.Join(run.slots(), " "); names != "semaphore A/0 semaphore A/1 semaphore A/2 semaphore B/0 semaphore B/1 semaphore B/2 semaphore B/3" {
		t.Error(names)
	}
	one := options{semaphores: 2, slots: 1}.plan().Semaphores
	if one[0].most() != 1 || slices.Min(one[1].Slots) != 1 || one[1].most() != 2 {
		t.Errorf("%v", one)
	}
}
