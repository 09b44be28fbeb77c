package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What a process was about when it was killed is made of what it had said.
func TestADeadProcessHoldsUntilItsDeadlineUnlessItHadBegunToUnlock(t *testing.T) {
	dead := death{at: 100 * ms, over: 105 * ms}
	asked := Try{Call: 10 * ms}
	held := Try{Call: 10 * ms, Return: 20 * ms, Until: 200 * ms, Token: 5}
	leaving := held
	leaving.End, leaving.Unlock = 95*ms, 95*ms
	late := held
	late.Until = 90 * ms
	for name, c := range map[string]struct {
		said            Try
		granted, knew   bool
		end, unlockedAt time.Duration
	}{
		"asked":      {asked, false, false, 0, 0},
		"held":       {held, true, true, 200 * ms, 200 * ms},
		"unlocked":   {leaving, true, true, 95 * ms, 105 * ms},
		"held until": {late, true, true, 90 * ms, 105 * ms},
	} {
		got := (&going{step: step{Try: c.said}}).end(dead, false)
		if got.Killed != 100*ms || got.granted() != c.granted || got.knew() != c.knew || got.End != c.end || got.Unlocked != c.unlockedAt {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Of the claim and the two writes of an increment each may be the one without an
// answer, carried out or not.
func TestWhatADeadProcessDidToTheResourceIsCounted(t *testing.T) {
	u := Write{Begun: 20 * ms, Read: 21 * ms}
	f := Write{Fenced: true, Begun: 22 * ms}
	claimed, first, both := f, u, f
	claimed.Read = 23 * ms
	first.Sent = 30 * ms
	both.Read, both.Sent = 23*ms, 35*ms
	written := first
	written.Done = 34 * ms
	for _, c := range []struct {
		u, f             Write
		done             bool
		unfenced, fenced int64 // updates
	}{
		{u, f, false, 0, 0}, {u, f, true, 0, 0},
		{first, claimed, false, 0, 0}, {first, claimed, true, 1, 0},
		{written, both, false, 1, 0}, {written, both, true, 1, 1},
	} {
		h := quiet()
		h.hold(1, 5*ms, 9*ms, 50)
		h.update(5*ms, 8*ms, 0)
		h.hold(0, 10*ms, 50*ms, 100)
		c.u.Value++
		if c.f.Read > 0 {
			c.f.Value++
		}
		h.Tries[1].Writes = ended(c.u, c.f, 60*ms, c.done)
		h.Finals[0].Unfenced += c.unfenced
		h.Finals[0].Fenced += c.fenced
		// The next one finds what was done.
		h.hold(1, 70*ms, 90*ms, 200)
		h.Tries[2].Writes = []Write{{Fenced: true, Begun: 71 * ms, Read: 72 * ms, Sent: 73 * ms, Done: 74 * ms, Value: c.fenced + 1}}
		h.Finals[0].Fenced++
		s := countWrites(h)
		if got := s.total(); got.unfenced != c.unfenced+1 || got.fenced != c.fenced+2 || s.lost(h.Finals, true) != 0 {
			t.Errorf("%+v, %+v: %+v", c.u, c.f, got)
		}
		if v := fencedCounter(h); v.State != holds {
			t.Errorf("%+v: %s %v", h.Tries[1].Writes, v.Detail, v.Marks)
		}
	}
}

// Workers are killed over and over again: their locks expire, not earlier and not later,
// and what they had done by then is known.
func TestLocksOfKilledProcessesExpireAndTheHistoryKnowsWhatTheyDid(t *testing.T) {
	needServers(t)
	var faults []Fault
	const ttl = time.Second
	for process := range 4 {
		for begin := time.Duration(200+137*process) * ms; begin < 3*time.Second; begin += 700 * ms {
			faults = append(faults, Fault{Kind: die, Process: process, Begin: begin, End: begin + 150*ms})
		}
	}
	died := make(map[string]int)
	grants := 0
	// On a busy machine all processes that are killed in one run may be waiting.
	for runs := 0; runs < 6 && (died["waiting"] == 0 || died["holding"] == 0 || grants < 8); runs++ {
		run := shortRun(3500*ms, ttl)
		run.Names = []string{"lock A"}
		h := play(t, run, faults)
		for _, try := range h.Tries {
			switch {
			case try.Killed == 0:
			case !try.granted():
				died["waiting"]++
			case try.Unlock == try.Killed || try.End == try.Until:
				died["holding"]++
			default:
				died["unlocking"]++
			}
		}
		for _, v := range check(h) {
			if v.State == violated {
				t.Errorf("%s: %s; %v", v.Claim, v.Detail, v.Marks)
			}
		}
		grants += len(byName(h, Try.granted)["lock A"])
		if left := fmt.Sprint(h.Calm.Left); strings.Contains(left, "lock") {
			t.Error(left)
		}
	}
	if died["waiting"] == 0 || died["holding"] == 0 || grants < 8 {
		t.Errorf("killed %v, %d grants", died, grants)
	}
}

// Keys of the dead, and of commands that came twice, may be there until they expire. Others
// may not, and nothing may be there for longer.
func TestKeysThatNobodyCanDeleteAreForgivenUntilTheyExpire(t *testing.T) {
	needServers(t)
	show := &theatre{history: History{Run: Run{TTL: 200 * ms}}}
	s := &show.stage
	s.said, s.quit = make(chan saying, 1024), make(chan struct{})
	var err error
	if s.cluster, err = startCluster(1); err != nil {
		t.Fatal(err)
	}
	defer s.cluster.close()
	if s.clock, err = newClock(); err != nil {
		t.Fatal(err)
	}
	first, err := startWorker(task{
		Run:     Run{Clients: []Client{{Adapter: adapters[0]}}, Names: []string{"A"}, TTL: time.Second},
		Clients: []int{0}, Nodes: s.cluster.addrs(), Resource: s.cluster.resource.Addr(), Origin: s.clock.origin,
	}, s.said, s.quit)
	if err != nil {
		t.Fatal(err)
	}
	s.workers = []*process{first}
	f := Fault{Kind: die, Process: 0, End: 10 * ms}
	s.carryOut(t.Context(), &f)
	second := s.worker(0)
	if !f.Fired || f.Felt != 1 || second == first || second.task.Life != 1 {
		t.Errorf("%v, felt %d times, %v; life %d", f, f.Felt, f.Err, second.task.Life)
	}
	close(s.quit)
	second.end()

	const dead, living, twice = "rl1:a:worker 1 life 1", "rl1:b:worker 1 life 2", "rl1:c:worker 1 life 2"
	s.links = [][]*link{{{copies: [][]byte{[]byte("SET key " + twice)}}}}
	holder := func(value string) []string { return []string{"SET", "key", value, "PX", "250"} }
	reader := func(value string, d time.Duration) []string { return []string{"ZADD", "key", d.String(), value} } // from now
	soon, stays := []string{"PEXPIRE", "key", "250"}, []string{"PERSIST", "key"}
	for name, c := range map[string]struct {
		commands [][]string
		left     int
	}{
		"of a dead one":                       {[][]string{holder(dead)}, 0},
		"of a dead one, for ever":             {[][]string{holder(dead), stays}, 1},
		"of a living one":                     {[][]string{holder(living)}, 1},
		"of a living one, for ever":           {[][]string{holder(living), stays}, 1},
		"sent twice":                          {[][]string{holder(twice)}, 0},
		"sent twice, for ever":                {[][]string{holder(twice), stays}, 1},
		"of dead readers":                     {[][]string{reader(dead, 250*ms), reader(twice, 200*ms), soon}, 0},
		"of a dead reader, for ever":          {[][]string{reader(dead, time.Minute)}, 1},
		"of readers, one of them living":      {[][]string{reader(dead, 250*ms), reader(living, 250*ms), soon}, 1},
		"of a dead reader and one that ended": {[][]string{reader(dead, 250*ms), reader(living, -ms), soon}, 0},
		"of a reader that ended":              {[][]string{reader(living, -ms)}, 1},
		"an intent":                           {[][]string{{"SET", "key:intent", "x", "PX", "9000"}}, 0},
		"an intent for long":                  {[][]string{{"SET", "key:intent", "x", "PX", "11000"}}, 1},
		"an intent for ever":                  {[][]string{{"SET", "key:intent", "x"}}, 1},
	} {
		for _, command := range append([][]string{{"FLUSHALL"}}, c.commands...) {
			if command[0] == "ZADD" {
				left, err := time.ParseDuration(command[2])
				if err != nil {
					t.Fatal(err)
				}
				command[2] = fmt.Sprint(time.Now().Add(left).UnixMilli())
			}
			if _, err := s.cluster.nodes[0].server.Do(command...); err != nil {
				t.Fatal(err)
			}
		}
		show.history.Calm = Calm{Begun: s.clock.now()}
		if err := show.lookForKeys(); err != nil || len(show.history.Calm.Left) != c.left {
			t.Errorf("%s: left %q, %v", name, show.history.Calm.Left, err)
		}
	}
}
