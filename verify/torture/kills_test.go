package main

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// leadersAreKilled is a schedule in which each leader is killed soon after it was elected, while
// some minority of the servers, another one every twelve seconds, and the links to it fail in all
// ways. So there are times enough in which observers can be expected to be told.
func leadersAreKilled(times int, ttl time.Duration) (faults []Fault, length time.Duration) {
	rng := rand.New(rand.NewPCG(uint64(times), 3))
	begin := time.Second
	for i := range times {
		f := Fault{Kind: die, How: leading, Process: i % 4, Begin: begin, End: begin + 300*ms}
		faults = append(faults, f)
		begin += ttl + ttl/4 + time.Duration(rng.Int64N(int64(ttl)))
		if i%8 == 7 {
			begin += 5 * ttl // time to lead for long
		}
	}
	length = begin + noneBound(ttl)
	kinds := []kind{freeze, kill, pause, sleep, memory, replica, delay, double, partition, noReply, noRequest, cut}
	for at := 500 * ms; at < begin; at += time.Duration(rng.Int64N(int64(ttl))) {
		period := int(at / (12 * time.Second))
		minority := []int{2 * period % nodeCount, (2*period + 1) % nodeCount}
		f := Fault{Kind: kinds[rng.IntN(len(kinds))], Process: -1, Begin: at, Nodes: minority[:1+rng.IntN(2)]}
		f.End = at + 100*ms + time.Duration(rng.Int64N(int64(ttl)))
		switch {
		case f.Kind == pause:
			f.How = []string{"ALL", "WRITE"}[rng.IntN(2)]
		case !f.Kind.ofServer():
			f.Process = rng.IntN(4)
			f.How = []string{late, lossy}[rng.IntN(2)]
			f.Slow = 10*ms + time.Duration(rng.Int64N(int64(ttl/8)))
		}
		faults = append(faults, f)
	}
	return faults, length
}

// Leaders are killed, 100 of them with REDLOCK_LONG=1: never do two lead whose contexts are
// alive, each finds what the one before it has proclaimed last, and observers are told of every
// leader in order, and of its end in time.
func TestLeadersAreKilledOverAndOverAgain(t *testing.T) {
	needServers(t)
	const ttl = 2 * time.Second
	wanted := 3
	if os.Getenv("REDLOCK_LONG") != "" {
		wanted = 100
	}
	killed := 0
	for runs := 0; runs < 4 && killed < wanted; runs++ {
		faults, length := leadersAreKilled((wanted-killed)*5/4+1, ttl)
		run := options{minutes: length.Minutes(), ttl: ttl, fencing: true, elects: 1, seed: uint64(runs)}.plan()
		h := play(t, run, faults)
		for _, v := range check(h) {
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
		for _, try := range h.Tries {
			if try.diedLeading() {
				killed++
			}
		}
		if t.Failed() {
			return
		}
	}
	if killed < wanted {
		t.Errorf("%d leaders were killed, want %d", killed, wanted)
	}
}
