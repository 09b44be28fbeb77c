package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// needServers skips a test for want of redis-server, but not in CI, which installs it.
func needServers(t *testing.T) {
	t.Helper()
	name := os.Getenv("REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if _, err := monotonic(); err != nil {
		t.Skip(err)
	}
}

func shortRun(length, ttl time.Duration) Run {
	o := options{seed: 1, minutes: length.Minutes(), ttl: ttl, clients: 1, locks: 1, fencing: true}
	return o.plan()
}

func play(t *testing.T, run Run, faults []Fault) *History {
	t.Helper()
	faults = slices.Clone(faults) // a run notes in them what became of them
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.Begin, b.Begin) })
	h, err := perform(t.Context(), run, faults, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range troubles(h.Faults) {
		t.Errorf("not carried out: %s", text)
	}
	return h
}

// One fault of each kind, all of them inside the assumptions, on different servers and
// links at about the same time.
func TestEachFaultFiresAndIsFeltAndTheLockStandsThem(t *testing.T) {
	needServers(t)
	at := func(k kind, begin, length time.Duration, nodes ...int) Fault {
		return Fault{Kind: k, Process: -1, Nodes: nodes, Begin: begin, End: begin + length}
	}
	near := func(f Fault, process int) Fault {
		f.Process = process
		return f
	}
	const ttl = time.Second
	slow := near(at(delay, 100*ms, 1500*ms, 0, 1, 2, 3, 4), 0)
	slow.Slow = 10 * ms
	lossyPartition := near(at(partition, 100*ms, 600*ms, 0, 1, 2, 3, 4), 1)
	lossyPartition.How = lossy
	clientPause := at(pause, 900*ms, 400*ms, 2)
	clientPause.How = "WRITE"
	// A worker that has no connection left needs a new one.
	full := at(full, 2400*ms, 600*ms, 0, 1)
	bytewise := at(trickle, 1700*ms, 700*ms, 0, 1)
	bytewise.Slow, bytewise.How = ms, replies
	again := at(double, 1800*ms, 1000*ms, 0, 1, 2, 3, 4)
	again.Slow = 200 * ms
	idle := at(idleCut, 2500*ms, 900*ms, 0, 1, 2, 3, 4)
	idle.Slow = 5 * ms
	slowly := at(slowDial, 900*ms, 500*ms, 0, 1, 2, 3, 4)
	slowly.Slow = 100 * ms
	faults := []Fault{
		slow, lossyPartition,
		at(freeze, 100*ms, 500*ms, 0),
		near(at(noRequest, 150*ms, 600*ms, 0, 1, 2, 3, 4), 2),
		at(kill, 200*ms, 300*ms, 1),
		at(memory, 300*ms, 300*ms, 2),
		at(lateEmpty, 500*ms, ttl+300*ms, 3),
		near(at(noReply, 800*ms, 600*ms, 0, 1, 2, 3, 4), 1),
		clientPause,
		at(sleep, 1000*ms, 400*ms, 4),
		near(at(cut, 1500*ms, 300*ms, 0, 1, 2, 3, 4), 3),
		at(flush, 1600*ms, 20*ms, 0),
		near(at(stop, 1900*ms, 1300*ms), 2),
		near(at(die, 2000*ms, 300*ms), 3),
		at(replica, 2000*ms, 300*ms, 2),
		at(denied, 2100*ms, 300*ms, 4),
		full,
		near(bytewise, 0),
		near(at(torn, 2100*ms, 900*ms, 0, 1, 2, 3, 4), 1),
		near(again, 2),
		near(idle, 0),
		near(slowly, 3),
		near(at(proxied, 900*ms, 700*ms, 0, 1, 2, 3, 4), 2),
	}
	felt := make(map[kind]bool)
	grants := 0
	// What a client waits for may be all that it does while its network fails: then one run shows little.
	for seed := uint64(1); seed < 6 && (len(felt) < len(inside) || grants < 4) && !t.Failed(); seed++ {
		run := shortRun(3500*ms, ttl)
		run.Seed = seed
		h := play(t, run, faults)
		for _, c := range countKinds(h.Faults) {
			if c.Fired == 0 {
				t.Errorf("%s: fired %d times", c.Kind, c.Fired)
			}
			// Scripts may not have been used yet on that server, and so are not missed.
			if c.Felt > 0 || c.Kind == flush {
				felt[c.Kind] = true
			}
		}
		for _, v := range check(h) {
			if v.State == violated {
				t.Errorf("%s: %s; %v", v.Claim, v.Detail, v.Marks)
			}
		}
		grants += len(byName(h, Try.granted)["lock A"])
	}
	if len(felt) < len(inside) || grants < 4 {
		t.Errorf("%d grants; only these were felt: %v", grants, felt)
	}
}

// All servers forget again and again: then two hold the lock, and the run has to see it. A
// search that cannot find what is there finds nothing.
func TestARunFindsTwoHoldersWhereServersForget(t *testing.T) {
	needServers(t)
	var faults []Fault
	for begin := 200 * ms; begin < 1300*ms; begin += 60 * ms {
		faults = append(faults, Fault{Kind: wipe, Process: -1, Nodes: []int{0, 1, 2, 3, 4}, Begin: begin, End: begin + 20*ms})
	}
	h := play(t, shortRun(1500*ms, time.Second), faults)
	v := exclusion(h, "I1", "", lockOnly)
	for i := range v.Marks {
		if m := v.Marks[i]; len(m.Tries) != 2 || m.End <= m.Begin {
			t.Errorf("%+v", m)
		}
	}
	if v.State != violated && len(v.Marks) == 0 {
		t.Errorf("%s, although %s", v.Detail, fmt.Sprint(countKinds(h.Faults)))
	}
}

func TestAKilledServerReturnsWithItsDataAndAForgetfulOneWithout(t *testing.T) {
	needServers(t)
	c, err := startCluster(1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	clock, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	s := stage{cluster: c, clock: clock}
	for _, k := range []kind{kill, forget, tail, lateEmpty, wipe} {
		if _, err := c.nodes[0].server.Do("SET", "key", "value"); err != nil {
			t.Fatal(err)
		}
		f := Fault{Kind: k, Process: -1, Nodes: []int{0}, End: 10 * ms}
		s.carryOut(t.Context(), &f)
		left, err := c.nodes[0].server.Do("EXISTS", "key")
		if err != nil || !f.Fired || f.Felt != 1 || (left == int64(1)) != (k == kill) {
			t.Errorf("after %v there are %v keys, %v", f, left, err)
		}
	}

	n := c.nodes[0]
	n.server.Kill()
	if err := os.RemoveAll(n.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(n.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := n.restart(true); err == nil {
		t.Error("its data were gone, and no check noticed")
	}
}
