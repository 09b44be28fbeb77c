package main

import (
	"fmt"
	"testing"
	"time"
)

// Of each of these there has to be some in a run.
var permitKinds = map[string]func(Try) bool{
	"that waited":               func(t Try) bool { return t.Mode == "Acquire" },
	"in turn":                   func(t Try) bool { return t.Mode == "Acquire WithFair" },
	"that tried":                func(t Try) bool { return t.Mode == "TryAcquire" },
	"that tried all at once":    func(t Try) bool { return t.Mode == "TryAcquire, all at once" },
	"of a semaphore that has 2": func(t Try) bool { return t.Permit.Slots == 2 },
	"of one that has 3":         func(t Try) bool { return t.Permit.Slots == 3 },
	"of one that has 4":         func(t Try) bool { return t.Permit.Slots == 4 },
	"of the slot of a few":      func(t Try) bool { return t.Permit.Slot == 3 },
	"extended":                  func(t Try) bool { return t.Until > t.Return+1200*ms },
	"killed":                    Try.diedHolding,
	"at last":                   func(t Try) bool { return t.Calm },
}

func limitedRun(seed uint64, length time.Duration, fencing bool) Run {
	return options{seed: seed, minutes: length.Minutes(), ttl: time.Second, clients: 2, locks: 1, semaphores: 2, slots: 3, fencing: fencing}.plan()
}

// Holders of permits, with tokens and without, while a minority of the servers fails in turn, processes
// are killed and stopped, and commands come twice.
func TestPermitsStandFaults(t *testing.T) {
	needServers(t)
	all := []int{0, 1, 2, 3, 4}
	near := func(k kind, process int, begin, length time.Duration, nodes ...int) Fault {
		return Fault{Kind: k, Process: process, Nodes: nodes, Begin: begin, End: begin + length}
	}
	late := near(noReply, 3, 1200*ms, 700*ms, all...)
	late.How = lossy
	again := near(double, 2, 300*ms, 2500*ms, all...)
	again.Slow = 200 * ms
	slow := near(delay, 1, 300*ms, 900*ms, 0, 2, 4)
	slow.Slow = 50 * ms
	faults := []Fault{
		near(freeze, -1, 200*ms, 600*ms, 0, 1),
		slow, again, late,
		near(kill, -1, 1000*ms, 300*ms, 2),
		near(memory, -1, 1600*ms, 300*ms, 3, 4),
		near(die, 0, 1800*ms, 100*ms),
		near(stop, 1, 2000*ms, 1300*ms),
		near(cut, 3, 2400*ms, 200*ms, all...),
		near(die, 3, 3000*ms, 100*ms),
	}
	for _, fencing := range []bool{true, false} {
		t.Run(fmt.Sprintf("fencing=%v", fencing), func(t *testing.T) {
			seen := make(map[string]int)
			// On a busy machine one run may show little.
			for runs := uint64(0); runs < 5 && len(seen) < len(permitKinds) && !t.Failed(); runs++ {
				h := play(t, limitedRun(runs, 4*time.Second, fencing), faults)
				for _, v := range check(h) {
					if v.State == violated {
						t.Errorf("%s: %s; %v", v.Claim, v.Detail, v.Marks)
					}
				}
				for name, is := range permitKinds {
					for _, try := range h.Tries {
						if try.granted() && try.permitted() && is(try) {
							seen[name]++
						}
					}
				}
				t.Log(grantsByKind(h), capacity(h).Detail, reused(h).Detail, seen)
			}
			if len(seen) < len(permitKinds) {
				t.Errorf("there are only %v", seen)
			}
		})
	}
}

// Processes are killed one after the other, and nothing else fails: then their slots are granted again,
// and not before their deadline.
func TestSlotsOfKilledHoldersAreGrantedAgain(t *testing.T) {
	needServers(t)
	dead, again := 0, 0
	for seed := uint64(0); seed < 5 && again < 4 && !t.Failed(); seed++ {
		var faults []Fault
		for i := range 6 {
			begin := time.Duration(300+500*i) * ms
			faults = append(faults, Fault{Kind: die, Process: i % 4, Begin: begin, End: begin + 100*ms})
		}
		h := play(t, limitedRun(seed, 5*time.Second, true), faults)
		for _, v := range check(h) {
			if v.State == violated {
				t.Errorf("%s: %s; %v", v.Claim, v.Detail, v.Marks)
			}
		}
		for _, try := range h.Tries {
			if try.permitted() && try.diedHolding() {
				dead++
				if next, _ := h.grantedAgain(try); next != nil {
					again++
				}
			}
		}
		t.Log(reused(h).Detail)
	}
	if again < 4 {
		t.Errorf("%d killed holders, the slots of %d were granted again", dead, again)
	}
}

// All servers forget again and again: then a slot has two holders, and more hold a permit than there are
// slots, and the run has to see both.
func TestARunFindsTooManyHoldersOfPermitsWhereServersForget(t *testing.T) {
	needServers(t)
	twice, many := 0, 0
	for seed := uint64(0); seed < 5 && (twice == 0 || many == 0); seed++ {
		var faults []Fault
		for begin := 200 * ms; begin < 2300*ms; begin += 60 * ms {
			faults = append(faults, Fault{Kind: wipe, Process: -1, Nodes: []int{0, 1, 2, 3, 4}, Begin: begin, End: begin + 20*ms})
		}
		h := play(t, limitedRun(seed, 2500*ms, true), faults)
		twice += len(exclusion(h, "S1", "", Try.permitted).Marks)
		many += len(capacity(h).Marks)
		for _, v := range check(h) {
			if (v.Claim == "S1" || v.Claim == "S3") && len(v.Marks) > 0 && v.State != violated {
				t.Errorf("%s: %s", v.Claim, v.Detail)
			}
		}
	}
	if twice == 0 || many == 0 {
		t.Errorf("%d times a slot had two holders, %d times there were too many", twice, many)
	}
}
