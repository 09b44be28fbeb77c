package main

import (
	"fmt"
	"testing"
	"time"
)

// Of each of these there has to be some in a run.
var grantKinds = map[string]func(Try) bool{
	"readers":                   func(t Try) bool { return t.Reader },
	"readers in turn":           func(t Try) bool { return t.Mode == "RLock WithFair" },
	"readers that try":          func(t Try) bool { return t.Mode == "TryRLock" },
	"of several locks":          func(t Try) bool { return t.Names != nil },
	"of several locks in turn":  func(t Try) bool { return t.Mode == "LockAll WithFair" },
	"downgraded":                func(t Try) bool { return t.Shared > 0 },
	"alone":                     func(t Try) bool { return !t.Reader && t.Names == nil },
	"of several locks, at last": func(t Try) bool { return t.Calm && t.Names != nil },
	"readers, at last":          func(t Try) bool { return t.Calm && t.Reader },
}

// Holders of one lock, of several and readers, with tokens and without, while a minority of the servers
// fails in turn, processes are killed and stopped, and commands come twice.
func TestReadersAndHoldersOfSeveralLocksStandFaults(t *testing.T) {
	needServers(t)
	all := []int{0, 1, 2, 3, 4}
	near := func(k kind, process int, begin, length time.Duration, nodes ...int) Fault {
		return Fault{Kind: k, Process: process, Nodes: nodes, Begin: begin, End: begin + length}
	}
	lossyPartition := near(partition, 1, 300*ms, 600*ms, all...)
	lossyPartition.How = lossy
	again := near(double, 2, 300*ms, 2500*ms, all...)
	again.Slow = 200 * ms
	faults := []Fault{
		near(freeze, -1, 200*ms, 600*ms, 0, 1),
		lossyPartition, again,
		near(kill, -1, 1000*ms, 300*ms, 2),
		near(noReply, 3, 1200*ms, 700*ms, all...),
		near(memory, -1, 1600*ms, 300*ms, 3, 4),
		near(die, 0, 1800*ms, 100*ms),
		near(stop, 1, 2000*ms, 1300*ms),
		near(cut, 3, 2400*ms, 200*ms, all...),
		near(die, 3, 3000*ms, 100*ms),
		near(freeze, -1, 3200*ms, 200*ms, all...),
	}
	for _, fencing := range []bool{true, false} {
		t.Run(fmt.Sprintf("fencing=%v", fencing), func(t *testing.T) {
			seen := make(map[string]int)
			// On a busy machine one run may show little.
			for runs := 0; runs < 5 && len(seen) < len(grantKinds) && !t.Failed(); runs++ {
				run := options{seed: uint64(runs), minutes: (4 * time.Second).Minutes(), ttl: time.Second, clients: 2, locks: 3, fencing: fencing}.plan()
				h := play(t, run, faults)
				for _, v := range check(h) {
					if v.State == violated {
						t.Errorf("%s: %s; %v", v.Claim, v.Detail, v.Marks)
					}
				}
				for name, is := range grantKinds {
					for _, try := range h.Tries {
						if try.granted() && is(try) {
							seen[name]++
						}
					}
				}
				t.Log(grantsByKind(h), seen)
			}
			if len(seen) < len(grantKinds) {
				t.Errorf("there are only %v", seen)
			}
		})
	}
}

// All servers forget again and again: then a reader reads beside a writer, and holders of several locks
// meet those of one of them, and the run has to see both.
func TestARunFindsReadersBesideWritersWhereServersForget(t *testing.T) {
	needServers(t)
	readers, several := 0, 0
	for runs := 0; runs < 5 && (readers == 0 || several == 0); runs++ {
		var faults []Fault
		for begin := 200 * ms; begin < 2300*ms; begin += 60 * ms {
			faults = append(faults, Fault{Kind: wipe, Process: -1, Nodes: []int{0, 1, 2, 3, 4}, Begin: begin, End: begin + 20*ms})
		}
		run := options{seed: uint64(runs), minutes: (2500 * ms).Minutes(), ttl: time.Second, clients: 2, locks: 2, fencing: true}.plan()
		h := play(t, run, faults)
		for _, m := range exclusion(h, "I1", "", lockOnly).Marks {
			a, b := h.Tries[m.Tries[0]], h.Tries[m.Tries[1]]
			if a.Reader != b.Reader {
				readers++
			}
			if (a.Names == nil) != (b.Names == nil) {
				several++
			}
		}
	}
	if readers == 0 || several == 0 {
		t.Errorf("%d readers beside a writer, %d beside a holder of several locks", readers, several)
	}
}
