package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// keep adds a hold of these locks that was asked for 5 ms before it was granted, and released when it
// ended.
func (h *History) keep(client int, from, to time.Duration, token uint64, names ...string) *Try {
	t := h.hold(client, from, to, token)
	if t.Name = names[0]; len(names) > 1 {
		t.wantAll(names)
	}
	return t
}

func (h *History) read(client int, from, to time.Duration, token uint64, name string) *Try {
	t := h.keep(client, from, to, token, name)
	t.Reader = true
	return t
}

// incremented adds an increment of the counters of a lock to the last hold, which has several.
func (h *History) incremented(name string, begun time.Duration, value int64) {
	t := &h.Tries[len(h.Tries)-1]
	for _, fenced := range []bool{false, true} {
		t.Writes = append(t.Writes, Write{Name: name, Fenced: fenced, Begun: begun, Read: begun + ms, Sent: begun + 2*ms, Done: begun + 3*ms, Value: value})
	}
	for i := range h.Finals {
		if f := &h.Finals[i]; f.Name == name {
			f.Unfenced, f.Fenced = value+1, value+1
		}
	}
}

func busy(names ...string) *History {
	h := quiet()
	h.Run.Names, h.Finals = names, nil
	for _, name := range names {
		h.Finals = append(h.Finals, Final{Name: name})
	}
	for range 4 {
		h.Run.Clients = append(h.Run.Clients, Client{Process: 1, Adapter: adapters[0]})
	}
	return h
}

// Indexes of the tries of shared.
const (
	firstReader = iota
	secondReader
	writer
	firstSet
	thirdReader
	ofB
	downgraded
	lastReader
	secondSet
)

// shared is a sound history of readers, of holders alone, and of holders of two locks.
func shared() *History {
	h := busy("A", "B", "C")
	h.read(0, 10*ms, 50*ms, 0, "A")
	h.read(1, 20*ms, 60*ms, 0, "A")
	h.keep(2, 70*ms, 90*ms, 100, "A")
	h.keep(0, 100*ms, 120*ms, 200, "A", "B")
	h.incremented("A", 101*ms, 0)
	h.incremented("B", 105*ms, 0)
	h.read(1, 130*ms, 160*ms, 205, "A") // another one was not granted
	h.keep(3, 130*ms, 150*ms, 210, "B")
	h.keep(2, 170*ms, 210*ms, 300, "A").Shared = 180 * ms
	h.read(1, 190*ms, 220*ms, 300, "A")
	h.keep(0, 230*ms, 240*ms, 400, "C", "A")
	h.incremented("A", 231*ms, 1)
	return h
}

func TestASoundHistoryOfReadersAndOfSeveralLocksIsAccepted(t *testing.T) {
	for _, v := range check(shared()) {
		if v.State != holds {
			t.Errorf("%s: %s, %s %v", v.Claim, v.State, v.Detail, v.Marks)
		}
	}
}

func TestWhatIsWrongAmongReadersAndSeveralLocksIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		claim string
		tries []int // that the mark names
		plant func(h *History)
	}{
		"a reader beside a writer":                      {"I1", []int{writer, 9}, func(h *History) { h.read(3, 80*ms, 85*ms, 100, "A") }},
		"a writer beside a reader":                      {"I1", []int{thirdReader, 9}, func(h *History) { h.keep(3, 140*ms, 145*ms, 250, "A") }},
		"a writer before the end of the last reader":    {"I1", []int{secondReader, writer}, func(h *History) { h.Tries[secondReader].End, h.Tries[secondReader].Unlocked = 75*ms, 76*ms }},
		"a writer before the deadline of a dead reader": {"I1", []int{secondReader, writer}, func(h *History) { h.Tries[secondReader].Killed, h.Tries[secondReader].End = 60*ms, 71*ms }},
		"two writers":                                    {"I1", []int{writer, 9}, func(h *History) { h.keep(3, 80*ms, 85*ms, 150, "A") }},
		"two, one of them a reader later":                {"I1", []int{downgraded, 9}, func(h *History) { h.keep(3, 200*ms, 205*ms, 350, "A") }},
		"a reader beside one that becomes a reader":      {"I1", []int{downgraded, lastReader}, func(h *History) { h.Tries[downgraded].Shared = 195 * ms }},
		"one that becomes a reader beside a reader":      {"I1", []int{thirdReader, downgraded}, func(h *History) { h.Tries[thirdReader].End, h.Tries[thirdReader].Unlocked = 172*ms, 173*ms }},
		"several locks beside one of them":               {"I1", []int{firstSet, 9}, func(h *History) { h.keep(3, 110*ms, 115*ms, 205, "B") }},
		"one lock beside several that it is one of":      {"I1", []int{lastReader, secondSet}, func(h *History) { h.Tries[lastReader].End, h.Tries[lastReader].Unlocked = 235*ms, 236*ms }},
		"several locks beside others, one in both":       {"I1", []int{firstSet, 9}, func(h *History) { h.keep(3, 110*ms, 115*ms, 205, "C", "B") }},
		"the token of a reader is too small":             {"I2", []int{firstSet, thirdReader}, func(h *History) { h.Tries[thirdReader].Token = 199 }},
		"a reader has none, after a writer":              {"I2", []int{downgraded, lastReader}, func(h *History) { h.Tries[lastReader].Token = 0 }},
		"a token of several locks too small for one":     {"I2", []int{downgraded, secondSet}, func(h *History) { h.Tries[secondSet].Token = 290 }},
		"a token of one of several is one of theirs":     {"I2", []int{firstSet, ofB}, func(h *History) { h.Tries[ofB].Token = 200 }},
		"a token is too small for one of several before": {"I2", []int{firstSet, ofB}, func(h *History) { h.Tries[ofB].Token = 150 }},
		"a writer without a token":                       {"I2", []int{writer, writer}, func(h *History) { h.Tries[writer].Token = 0 }},
		"an update under several locks is lost":          {"I3", nil, func(h *History) { h.Finals[1].Fenced = 0 }},
		"an update of one goes on from one before it": {"I3", []int{firstSet, secondSet}, func(h *History) {
			h.Tries[secondSet].Writes[1].Value = 0
			h.Finals[0].Fenced = 1
		}},
	} {
		h := shared()
		c.plant(h)
		for _, v := range check(h) {
			if (v.Claim == c.claim) != (v.State == violated) || strings.Contains(v.Detail, "one of the checks is wrong") {
				t.Errorf("%s: %s %s: %s %v", name, v.Claim, v.State, v.Detail, v.Marks)
			}
			named := func(m Mark) bool {
				return len(m.Tries) == 2 && len(c.tries) == 2 && m.Tries[0] == c.tries[0] && m.Tries[1] == c.tries[1] && m.Begin < m.End
			}
			if v.Claim == c.claim && c.tries != nil && !anyOf(v.Marks, named) {
				t.Errorf("%s: %v", name, v.Marks)
			}
		}
	}
}

// A guard brings the tokens that a server forgot not back: so a reader may be told none.
func TestWhereServersForgetTokensOfReadersAreNotCompared(t *testing.T) {
	for _, outside := range []bool{false, true} {
		h := shared()
		h.Run.Outside, h.Run.Guard = outside, true
		h.Tries[thirdReader].Token = 0
		h.Tries[lastReader].Token = 0
		for _, v := range check(h) {
			if v.Claim == "I2" && (v.State == violated) == outside {
				t.Errorf("outside %v: %s %v", outside, v.Detail, v.Marks)
			}
		}
		h.Tries[ofB].Token = 150 // of one that is no reader
		if v := tokens(h, "I2", "", lockOnly); len(v.Marks) == 0 || !slices.Equal(v.Marks[len(v.Marks)-1].Tries, []int{firstSet, ofB}) {
			t.Errorf("outside %v: %v", outside, v.Marks)
		}
	}
}

func anyOf(marks []Mark, wanted func(Mark) bool) bool {
	for _, m := range marks {
		if wanted(m) {
			return true
		}
	}
	return false
}

// mixed is a long history of three locks, each of which goes from readers to holders that are alone,
// and among others to those of several locks; faulty plants one thing that may break a claim.
func mixed(rng *rand.Rand, length int, faulty bool) *History {
	h := busy("A", "B", "C")
	free := make(map[string]time.Duration)   // of those that are alone
	unread := make(map[string]time.Duration) // of readers
	now, token := 20*ms, uint64(0)
	for i := range length {
		now += time.Duration(1+rng.IntN(4)) * ms
		t := Try{Client: i % len(h.Run.Clients), Name: h.Run.Names[rng.IntN(3)], Reader: rng.IntN(2) == 0}
		if !t.Reader && rng.IntN(2) == 0 {
			t.wantMore(rng, h.Run.Names)
		}
		from := now
		for _, name := range t.names() {
			from = max(from, free[name]+ms)
			if !t.Reader {
				from = max(from, unread[name]+ms)
			}
		}
		end := from + time.Duration(3+rng.IntN(25))*ms
		t.Call, t.Return, t.End, t.Unlock = max(0, from-time.Duration(rng.IntN(40))*ms), from, end, end
		t.Unlocked, t.Until = end+time.Duration(rng.IntN(5))*ms, from+200*ms
		if t.Token = token; !t.Reader {
			token += 10
			t.Token = token
		} else if rng.IntN(3) == 0 {
			t.Token += 5
		}
		if !t.Reader && t.Names == nil && rng.IntN(3) == 0 {
			t.Shared = from + time.Duration(1+rng.IntN(30))*ms
		}
		for _, name := range t.names() {
			free[name], unread[name] = max(free[name], t.alone()), max(unread[name], end)
		}
		h.Tries = append(h.Tries, t)
	}
	if faulty {
		t, other := &h.Tries[rng.IntN(length)], h.Tries[rng.IntN(length)]
		switch rng.IntN(4) {
		case 0:
			t.End += time.Duration(rng.IntN(12)) * ms
			t.Unlocked = max(t.Unlocked, t.End)
		case 1:
			t.Token = other.Token
		case 2:
			t.Token -= min(t.Token, uint64(rng.IntN(30)))
		case 3:
			t.Reader, t.Shared = false, 0
		}
	}
	return h
}

func TestRulesAndPorcupineAgreeOnReadersAndSeveralLocks(t *testing.T) {
	rulesAndPorcupineAgree(t, 120, 2, mixed, "I1", "I2")
}

// The rules and porcupine are each other's oracle, also where histories are longer than a window.
// history makes one, and a wrong one if it is to be faulty: each of the claims has to be broken often.
func rulesAndPorcupineAgree(t *testing.T, seeds, stream uint64, history func(rng *rand.Rand, length int, faulty bool) *History, claims ...string) {
	t.Helper()
	broken := make(map[string]int)
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, stream))
		faulty := seed%5 > 0
		for _, v := range check(history(rng, 10+rng.IntN(2*windowSize+80), faulty)) {
			if strings.Contains(v.Detail, "one of the checks is wrong") || v.State == violated && len(v.Marks) == 0 {
				t.Errorf("seed %d: %s: %s, marks %v", seed, v.Claim, v.Detail, v.Marks)
			}
			if v.State == violated {
				broken[v.Claim]++
				if !faulty {
					t.Errorf("seed %d: %s: %v", seed, v.Claim, v.Marks)
				}
			}
		}
	}
	for _, claim := range claims {
		if broken[claim] < 15 {
			t.Errorf("only %v were broken: the histories show too little", broken)
		}
	}
}
