package main

import (
	"strings"
	"testing"
	"time"
)

// valuesRun has candidates and publishers only.
func valuesRun(length, ttl time.Duration) Run {
	o := options{seed: 1, minutes: length.Minutes(), ttl: ttl, fencing: true, elects: 1, paths: 1}
	return o.plan()
}

// Leaders are killed and stopped, servers and links fail in between.
func TestLeadersAndValuesStandFaults(t *testing.T) {
	needServers(t)
	all := []int{0, 1, 2, 3, 4}
	near := func(k kind, process int, begin, length time.Duration, nodes ...int) Fault {
		return Fault{Kind: k, Process: process, Nodes: nodes, Begin: begin, End: begin + length}
	}
	lossyPartition := near(partition, 1, 300*ms, 900*ms, all...)
	lossyPartition.How = lossy
	again := near(double, 2, 300*ms, 2500*ms, all...)
	again.Slow = 200 * ms
	killLeader := near(die, 0, 5*time.Second, 300*ms)
	killLeader.How = leading
	faults := []Fault{
		near(freeze, -1, 200*ms, 900*ms, 0, 1),
		lossyPartition, again,
		near(kill, -1, 1300*ms, 300*ms, 2),
		near(noReply, 3, 1400*ms, 700*ms, all...),
		near(memory, -1, 1600*ms, 300*ms, 3, 4),
		near(stop, 0, 1700*ms, 2300*ms),
		near(cut, 2, 3000*ms, 300*ms, all...),
		near(freeze, -1, 3500*ms, 300*ms, 0, 1, 2, 3, 4),
		killLeader,
	}
	kinds := make(map[use]int)
	leaders := 0
	// On a busy machine one run may show little.
	for runs := 0; runs < 5 && (len(kinds) < 7 || leaders < 4); runs++ {
		h := play(t, valuesRun(7*time.Second, 2*time.Second), faults)
		for _, v := range check(h) {
			if v.State == violated {
				t.Errorf("%s: %s; %v", v.Claim, v.Detail, v.Marks)
			}
		}
		for _, u := range h.Uses {
			if u.acknowledged() {
				kinds[u.Kind]++
			}
		}
		leaders += len(byName(h, Try.granted)["election A"])
	}
	if len(kinds) < 7 || leaders < 4 {
		t.Errorf("%d leaders; %v", leaders, kinds)
	}
}

// All servers forget again and again: values are lost, and the run has to see it.
func TestARunFindsLostValuesWhereServersForget(t *testing.T) {
	needServers(t)
	var faults []Fault
	for begin := 200 * ms; begin < 1800*ms; begin += 100 * ms {
		faults = append(faults, Fault{Kind: wipe, Process: -1, Nodes: []int{0, 1, 2, 3, 4}, Begin: begin, End: begin + 20*ms})
	}
	h := play(t, valuesRun(2*time.Second, 2*time.Second), faults)
	found := make(map[string]bool)
	for _, v := range check(h) {
		if strings.Contains(v.Detail, "one of the checks is wrong") {
			t.Errorf("%s: %s", v.Claim, v.Detail)
		}
		found[v.Claim] = v.State == violated
	}
	if !found["B1"] {
		t.Errorf("only %v", found)
	}
}
