package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// led adds a leadership of election E that proclaims once more after its first value. Its process
// is the number of the client.
func (h *History) led(client int, from, to time.Duration, term uint64, previous *Use) {
	h.hold(client, from, to, term)
	t := &h.Tries[len(h.Tries)-1]
	t.Name, t.Mode, t.Led = "E", "Campaign", &Led{Value: fmt.Sprintf("%d.0", term), Previous: previous}
	h.Uses = append(h.Uses, Use{Kind: proclaim, Client: client, Name: "E", Value: fmt.Sprintf("%d.1", term), Term: term, Seq: 1, Begun: from + 2*ms, Done: from + 3*ms})
}

func (h *History) saw(kind use, client int, begun, done time.Duration, value string, term, seq uint64) {
	h.Uses = append(h.Uses, Use{Kind: kind, Client: client, Name: "E", Begun: begun, Done: done, Value: value, Term: term, Seq: seq, None: value == "", Confirmed: true})
}

func (h *History) path(kind use, client int, begun, done time.Duration, value string, seq uint64) *Use {
	h.Uses = append(h.Uses, Use{Kind: kind, Client: client, Name: "P", Begun: begun, Done: done, Value: value, Term: 9, Seq: seq, None: value == "", Confirmed: true})
	return &h.Uses[len(h.Uses)-1]
}

// proclaimed is a history of one election and one path. The second leader is killed, and an
// observer is told of it in time.
func proclaimed() *History {
	h := quiet()
	h.Run.Elections, h.Run.Paths = []string{"E"}, []string{"P"}
	h.Calm.Begun = 20 * time.Second

	h.led(0, 10*ms, 50*ms, 100, nil)                                     // Tries[0], Uses[0]
	h.saw(observe, 1, 12*ms, 12*ms, "100.0", 100, 0)                     // Uses[1]
	h.saw(observe, 1, 14*ms, 14*ms, "100.1", 100, 1)                     // Uses[2]
	h.saw(leader, 1, 20*ms, 21*ms, "100.1", 100, 1)                      // Uses[3]
	h.saw(observe, 1, 52*ms, 52*ms, "", 0, 0)                            // Uses[4]
	h.led(1, 60*ms, 90*ms, 200, &Use{Value: "100.1", Term: 100, Seq: 1}) // Tries[1], Uses[5]
	h.saw(leader, 0, 61*ms, 62*ms, "200.0", 200, 0)                      // Uses[6]
	h.saw(observe, 0, 64*ms, 64*ms, "200.1", 200, 1)                     // Uses[7]
	killed := &h.Tries[1]
	killed.Killed, killed.Until, killed.End, killed.Unlock, killed.Unlocked = 90*ms, 260*ms, 260*ms, 91*ms, 260*ms
	h.saw(observe, 0, 300*ms, 300*ms, "", 0, 0)                            // Uses[8]
	h.led(0, 310*ms, 350*ms, 300, &Use{Value: "200.1", Term: 200, Seq: 1}) // Tries[2], Uses[9]
	// A candidate that was not elected.
	h.Tries = append(h.Tries, Try{Client: 1, Name: "E", Mode: "TryCampaign", Call: 320 * ms, Return: 321 * ms, Err: "taken", Led: &Led{Value: "no", Refused: true}})

	h.path(latest, 0, 5*ms, 6*ms, "", 0)            // Uses[10]
	h.path(publish, 0, 10*ms, 12*ms, "a", 1)        // Uses[11]
	h.path(watch, 1, 13*ms, 13*ms, "a", 1)          // Uses[12]
	h.path(publish, 1, 20*ms, 0, "b", 0).Err = "no" // Uses[13]: of unknown outcome
	h.path(latest, 0, 25*ms, 26*ms, "a", 1)         // Uses[14]
	h.path(latest, 1, 30*ms, 31*ms, "b", 2)         // Uses[15]
	h.path(watch, 1, 31*ms, 31*ms, "b", 2)          // Uses[16]
	h.path(publish, 0, 40*ms, 42*ms, "c", 3)        // Uses[17]
	h.path(latest, 1, 41*ms, 43*ms, "b", 2)         // Uses[18]: at the same time
	h.path(publish, 1, 50*ms, 0, "d", 0).Err = "no" // Uses[19]: nobody sees it
	h.path(latest, 0, 60*ms, 61*ms, "c", 3)         // Uses[20]
	h.path(watch, 1, 62*ms, 62*ms, "c", 3)          // Uses[21]
	return h
}

func TestASoundHistoryOfLeadersAndValuesIsAccepted(t *testing.T) {
	seen := make(map[string]bool)
	for _, v := range check(proclaimed()) {
		seen[v.Claim] = true
		if v.State != holds {
			t.Errorf("%s: %s, %s %v", v.Claim, v.State, v.Detail, v.Marks)
		}
		if v.Claim == "E6" && !strings.Contains(v.Detail, "1 leaders killed, 1 times") {
			t.Error(v.Detail)
		}
	}
	for _, claim := range []string{"E1", "E2", "E3", "E4", "E5", "E6", "E7", "B1", "B2"} {
		if !seen[claim] {
			t.Errorf("%s is not checked", claim)
		}
	}
}

func TestEachClaimAboutLeadersAndValuesIsFoundBroken(t *testing.T) {
	for name, c := range map[string]struct {
		claim string
		plant func(h *History)
	}{
		"a second leader":                              {"E1", func(h *History) { h.Tries[2].Return, h.Tries[2].Call = 200*ms, 195*ms }},
		"a leader that says so when it wakes":          {"E1", func(h *History) { h.Tries[0].End = 70 * ms }},
		"a term that is smaller":                       {"E2", func(h *History) { h.Tries[2].Token = 150 }},
		"a term twice":                                 {"E2", func(h *History) { h.Tries[2].Token = 200 }},
		"no value of the one before":                   {"E3", func(h *History) { h.Tries[1].Led.Previous = nil }},
		"an earlier value of the one before":           {"E3", func(h *History) { h.Tries[1].Led.Previous = &Use{Value: "100.0", Term: 100} }},
		"the value of an earlier leader":               {"E3", func(h *History) { h.Tries[2].Led.Previous = &Use{Value: "100.1", Term: 100, Seq: 1} }},
		"a value from nowhere":                         {"E3", func(h *History) { h.Tries[1].Led.Previous.Value = "x" }},
		"a value of another term":                      {"E3", func(h *History) { h.Tries[1].Led.Previous.Term = 101 }},
		"a value of the future":                        {"E3", func(h *History) { h.Tries[1].Led.Previous = &Use{Value: "300.1", Term: 300, Seq: 1} }},
		"an observer that goes back":                   {"E4", func(h *History) { h.saw(observe, 0, 320*ms, 320*ms, "100.1", 100, 1) }},
		"an observer that goes back to an earlier one": {"E4", func(h *History) { h.Uses[1], h.Uses[2] = h.Uses[2], h.Uses[1] }},
		"a reader behind a Proclaim":                   {"E4", func(h *History) { h.saw(leader, 1, 40*ms, 41*ms, "100.0", 100, 0) }},
		"a reader behind another one": {"E4", func(h *History) {
			h.Uses[5].Done, h.Uses[5].Err = 0, "no answer"
			h.saw(leader, 1, 70*ms, 71*ms, "200.0", 200, 0)
		}},
		"a candidate that was refused":       {"E5", func(h *History) { h.saw(leader, 0, 330*ms, 331*ms, "no", 301, 0) }},
		"a value that was never proclaimed":  {"E5", func(h *History) { h.saw(observe, 0, 330*ms, 330*ms, "x", 300, 5) }},
		"a value that is proclaimed later":   {"E5", func(h *History) { h.saw(leader, 1, 59*ms, 60*ms, "200.1", 200, 1) }},
		"a value in the term of another one": {"E5", func(h *History) { h.saw(leader, 0, 330*ms, 331*ms, "200.0", 300, 0) }},
		"an observer that is told too late":  {"E6", func(h *History) { h.Uses[8].Begun, h.Uses[8].Done = 6*time.Second, 6*time.Second }},
		"an observer that is never told":     {"E6", func(h *History) { h.Uses[8].Err = "unknown" }},
		"an observer that is not told of a leader": {"E7", func(h *History) {
			h.saw(observe, 1, 305*ms, 305*ms, "", 0, 0)
			h.Tries[2].End = 6 * time.Second
		}},
		"a read behind a write":              {"B1", func(h *History) { h.path(latest, 0, 45*ms, 46*ms, "a", 1) }},
		"a read that finds nothing any more": {"B1", func(h *History) { h.path(latest, 0, 45*ms, 46*ms, "", 0) }},
		"a read behind a read":               {"B1", func(h *History) { h.path(latest, 0, 33*ms, 34*ms, "a", 1) }},
		"a read behind a watcher": {"B1", func(h *History) {
			h.Uses[15].Err = "no answer"
			h.path(latest, 0, 33*ms, 34*ms, "a", 1)
		}},
		"a value from the future":          {"B1", func(h *History) { h.path(latest, 0, 8*ms, 9*ms, "a", 1) }},
		"a read of what was never written": {"B1", func(h *History) { h.path(latest, 0, 63*ms, 64*ms, "x", 5) }},
		"an acknowledged write is lost":    {"B1", func(h *History) { h.Uses[19].Err, h.Uses[19].Done = "", 52*ms }},
		"a watcher that goes back":         {"B2", func(h *History) { h.path(watch, 1, 63*ms, 63*ms, "b", 2) }},
		"a watcher that goes back to a value of the same numbers": {"B2", func(h *History) {
			h.Uses[16].Seq, h.Uses[12].Seq = 1, 1
			h.path(watch, 1, 31*ms, 31*ms, "a", 1)
			h.Uses[17], h.Uses[len(h.Uses)-1] = h.Uses[len(h.Uses)-1], h.Uses[17]
		}},
	} {
		h := proclaimed()
		c.plant(h)
		found := false
		for _, v := range check(h) {
			if v.State == violated {
				found = found || v.Claim == c.claim && len(v.Marks) > 0
			}
			if strings.Contains(v.Detail, "one of the checks is wrong") {
				t.Errorf("%s: %s: %s", name, v.Claim, v.Detail)
			}
		}
		if !found {
			t.Errorf("%s: %s is not found broken", name, c.claim)
		}
	}
}

// What is no violation, although it looks like one.
func TestWhatFaultsExplainIsNoViolation(t *testing.T) {
	for name, plant := range map[string]func(h *History){
		"a candidate was elected, slept, and was elected again": func(h *History) {
			h.saw(leader, 0, 306*ms, 307*ms, "300.0", 290, 0)
			h.Tries[2].Led.Previous = &Use{Value: "300.0", Term: 290}
		},
		"a candidate was elected and killed before it knew": func(h *History) {
			h.Tries = append(h.Tries, Try{Client: 1, Name: "E", Call: 400 * ms, Return: 500 * ms, Err: "killed", Killed: 500 * ms, Led: &Led{Value: "gone"}})
			h.saw(leader, 0, 450*ms, 451*ms, "gone", 400, 0)
		},
		"a later value without an answer is found": func(h *History) { h.Uses[5].Done, h.Uses[5].Err = 0, "no answer" },
		"a read says that it could not confirm":    func(h *History) { h.path(latest, 0, 33*ms, 34*ms, "a", 1).Confirmed = false },
		"too few masters answered":                 func(h *History) { h.path(latest, 0, 33*ms, 34*ms, "a", 1).Err = "no quorum" },
		"the network held what the dead had sent": func(h *History) {
			h.told(8, Fault{Kind: partition, Process: 1, Nodes: []int{0, 1}, End: 2 * time.Second})
		},
		"the observer was stopped": func(h *History) { h.told(8, Fault{Kind: stop, Process: 0, Begin: ms, End: 2 * time.Second}) },
		"a majority was out of reach": func(h *History) {
			h.told(8, Fault{Kind: freeze, Process: -1, Nodes: []int{0, 1}, End: 2 * time.Second})
		},
		"the process of the observer was killed": func(h *History) { h.told(8, Fault{Kind: die, Process: 0, Begin: 100 * ms, End: 200 * ms}) },
		"the observer was told of another leader": func(h *History) {
			h.Uses[8].None, h.Uses[8].Value, h.Uses[8].Term = false, "300.0", 300
			h.Uses[8].Done = 312 * ms
		},
		"the run was over before it had to be told": func(h *History) { h.Calm.Begun = time.Second; h.Uses[8].Done = 10 * time.Second },
	} {
		h := proclaimed()
		plant(h)
		for _, v := range check(h) {
			if v.State == violated {
				t.Errorf("%s: %s: %s %v", name, v.Claim, v.Detail, v.Marks)
			}
		}
	}
	h := proclaimed()
	h.told(8, Fault{Kind: freeze, Process: -1, Nodes: []int{0}, End: 2 * time.Second})
	if v := noneInTime(h); len(v.Marks) != 1 {
		t.Errorf("a minority is out of reach, and the observer is told too late: %s", v.Detail)
	}
}

// told makes an observer be told late, and under a fault.
func (h *History) told(use int, f Fault) {
	f.Fired = true
	h.Faults = append(h.Faults, f)
	h.Uses[use].Begun, h.Uses[use].Done = 7*time.Second, 7*time.Second
}

// registers is a random history of one register, with writes at the same time, reads, and writes
// without an answer; faulty plants one thing that may break it.
func registers(rng *rand.Rand, length int, faulty bool) *History {
	h := quiet()
	h.Run.Paths = []string{"P"}
	around := func(at time.Duration) (begun, done time.Duration) {
		return max(0, at-time.Duration(rng.IntN(4000))*time.Microsecond), at + time.Duration(1+rng.IntN(4000))*time.Microsecond
	}
	value := ""
	for i := range length {
		at := time.Duration(i+5) * ms
		begun, done := around(at)
		switch rng.IntN(4) {
		case 0:
			value = fmt.Sprint("v", i)
			u := h.path(publish, 0, begun, done, value, uint64(i))
			if rng.IntN(4) == 0 {
				u.Done, u.Err = 0, "no answer"
			}
		case 1:
			h.path(publish, 1, begun, 0, fmt.Sprint("lost", i), 0).Err = "no answer"
		case 2:
			if value != "" {
				h.path(watch, 1, done, done, value, uint64(i))
			}
		default:
			h.path(latest, 1, begun, done, value, uint64(i))
		}
	}
	if faulty {
		reads := slices.DeleteFunc(slices.Clone(h.Uses), func(u Use) bool { return u.Kind != latest })
		a, b := reads[rng.IntN(len(reads))], reads[rng.IntN(len(reads))]
		for i := range h.Uses {
			if h.Uses[i] == a {
				h.Uses[i].Value, h.Uses[i].None = b.Value, b.None
			}
		}
	}
	return h
}

func TestTheRuleOfRegistersAndPorcupineAgree(t *testing.T) {
	broken, whole := 0, 0
	for seed := range uint64(80) {
		rng := rand.New(rand.NewPCG(seed, 2))
		faulty := seed%2 > 0
		h := registers(rng, 20+rng.IntN(6*registerWindow), faulty)
		v := boards(h)
		if len(v.Marks) > 0 {
			broken++
		} else {
			whole++
		}
		if strings.Contains(v.Detail, "one of the checks is wrong") || v.State == violated || !faulty && len(v.Marks) > 0 {
			t.Errorf("seed %d: %s: %s, marks %v", seed, v.Claim, v.Detail, v.Marks)
		}
	}
	if broken < 25 || whole < 25 {
		t.Errorf("%d histories were broken, %d were not: they show too little", broken, whole)
	}
}

func TestWhereServersForgetNothingIsSaidOfValues(t *testing.T) {
	h := proclaimed()
	h.Run.Outside, h.Run.Guard = true, true
	for _, v := range check(h) {
		want := holds
		if v.Claim == "E3" || v.Claim == "B1" || v.Claim == "I4" {
			want = unclear
		}
		if v.State != want {
			t.Errorf("%s: %s, want %s", v.Claim, v.State, want)
		}
	}
}

// In quiet acts a leader is killed and nothing else happens: so observers can be expected to be told.
func TestASchedulesQuietActsKillALeaderAndLeaveTimeToBeTold(t *testing.T) {
	quiet := 0
	for seed := range uint64(20) {
		o := options{seed: seed, minutes: 3, ttl: 2 * time.Second, clients: 2, locks: 2, elects: 1}
		faults := schedule(o.plan())
		for i, f := range faults {
			if f.How != leading {
				continue
			}
			quiet++
			if f.Kind != die || i+1 < len(faults) && faults[i+1].Begin < f.Begin+noneBound(o.ttl) {
				t.Errorf("seed %d: %v at %v, and then %v at %v", seed, f, f.Begin, faults[i+1], faults[i+1].Begin)
			}
		}
	}
	if quiet < 30 {
		t.Errorf("%d quiet acts", quiet)
	}
}

func TestAServerReturnsEmptyOnlyWhereNoValueIsPublished(t *testing.T) {
	o := options{seed: 1, minutes: 3, ttl: 2 * time.Second, clients: 2, locks: 2}
	drawn := func(o options) (n int) {
		for _, f := range schedule(o.plan()) {
			if f.Kind == lateEmpty {
				n++
			}
		}
		return n
	}
	if drawn(o) == 0 {
		t.Error("none")
	}
	for _, with := range []func(*options){func(o *options) { o.elects = 1 }, func(o *options) { o.paths = 1 }} {
		values := o
		with(&values)
		if n := drawn(values); n > 0 {
			t.Errorf("%d", n)
		}
		values.outside = true
		if drawn(values) == 0 {
			t.Error("none where servers may forget")
		}
	}
}
