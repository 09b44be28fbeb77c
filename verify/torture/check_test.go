package main

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestASoundHistoryIsAccepted(t *testing.T) {
	for _, v := range check(sound()) {
		if v.State != holds {
			t.Errorf("%s: %s, %s %v", v.Claim, v.State, v.Detail, v.Marks)
		}
	}
}

func TestEachClaimIsFoundBroken(t *testing.T) {
	for name, c := range map[string]struct {
		claim string
		plant func(h *History)
	}{
		"a hold within another one":                                  {"I1", func(h *History) { h.hold(1, 20*ms, 40*ms, 150) }},
		"a hold that begins when another one has not ended":          {"I1", func(h *History) { h.Tries[1].Call, h.Tries[1].Return = 45*ms, 49*ms }},
		"a paused process that claims to have known what it did not": {"I1", func(h *History) { h.Tries[2].End = 400 * ms }},
		"a hold before the deadline of a killed process":             {"I1", func(h *History) { h.Tries[0].Killed, h.Tries[0].End = 30*ms, h.Tries[0].Until }},
		"the same token twice":                                       {"I2", func(h *History) { h.Tries[3].Token = 200 }},
		"the same token twice in a row":                              {"I2", func(h *History) { h.Tries[1].Token = 100 }},
		"a token that is smaller":                                    {"I2", func(h *History) { h.Tries[3].Token = 150 }},
		"an update of the fenced one is lost":                        {"I3", func(h *History) { h.Finals[0].Fenced = 2 }},
		"two updates start from one value": {"I3", func(h *History) {
			h.Tries[3].Writes[1].Value = 1
			h.Finals[0].Fenced = 2
		}},
		"a late write is taken":                 {"I3", func(h *History) { h.Tries[2].Writes[0].Refused = false; h.Finals[0].Fenced = 4 }},
		"the holder is refused":                 {"I3", func(h *History) { h.Tries[3].Writes[1].Refused = true; h.Finals[0].Fenced = 2 }},
		"a majority denies a lock that is held": {"I4", func(h *History) { h.Tries[1].Lost = "lock was lost" }},
		"a client gets nothing any more":        {"I6", func(h *History) { h.Calm.Missing = []string{"client 1"} }},
		"a key is left":                         {"I5", func(h *History) { h.Calm.Left = []string{"A on node 2"} }},
		"a Locker cannot close":                 {"I5", func(h *History) { h.Calm.Unclosed = []string{"worker 1"} }},
	} {
		h := sound()
		c.plant(h)
		found := false
		for _, v := range check(h) {
			if v.State == violated {
				found = found || v.Claim == c.claim && len(v.Marks) > 0
			}
			if strings.Contains(v.Detail, "one of the checks is wrong") {
				t.Errorf("%s: %s", name, v.Detail)
			}
		}
		if !found {
			t.Errorf("%s: %s is not found broken", name, c.claim)
		}
	}
}

func TestWithoutTokensNothingIsSaidOfThem(t *testing.T) {
	h := sound()
	h.Run.Fencing = false
	for i := range h.Tries {
		h.Tries[i].Token = 0
	}
	for _, v := range check(h) {
		if (v.Claim == "I2" || v.Claim == "I3") != (v.State == unclear) || v.State == violated {
			t.Errorf("%s: %s", v.Claim, v.State)
		}
	}
}

func TestLostUpdatesOfTheUnfencedResourceAreCounted(t *testing.T) {
	h := sound()
	h.Tries[3].Writes[0].Value = 1 // as the one before
	h.Finals[0].Unfenced = 2
	if n := countWrites(h).lost(h.Finals, false); n != 1 {
		t.Errorf("%d lost, want 1", n)
	}
	if marks := twice(h, false); len(marks) != 1 || marks[0].Tries[0] != 1 || marks[0].Tries[1] != 3 {
		t.Errorf("%v, want one mark of the second and the fourth hold", marks)
	}
}

// random is a long history of a lock that is handed on among clients that wait at the
// same time; faulty plants one thing that may break a claim.
func random(rng *rand.Rand, length int, faulty bool) *History {
	h := quiet()
	for range 4 {
		h.Run.Clients = append(h.Run.Clients, Client{Process: 1, Adapter: adapters[0]})
	}
	now, value := 20*ms, int64(0)
	for i := range length {
		now += time.Duration(1+rng.IntN(5)) * ms
		end := now + time.Duration(3+rng.IntN(20))*ms
		t := h.hold(i%len(h.Run.Clients), now, end, uint64(10*(i+1)))
		t.Call = max(0, now-time.Duration(rng.IntN(60))*ms)
		h.update(now+ms, now+2*ms+ms/2, value)
		value++
		now = end
	}
	if faulty {
		a, b := rng.IntN(length), rng.IntN(length)
		switch rng.IntN(4) {
		case 0:
			h.Tries[a].End += time.Duration(rng.IntN(12)) * ms
		case 1:
			h.Tries[a].Token, h.Tries[b].Token = h.Tries[b].Token, h.Tries[a].Token
		case 2:
			h.Tries[a].Token = h.Tries[b].Token
		case 3:
			h.Tries[a].Writes[1].Value = max(0, h.Tries[a].Writes[1].Value-int64(rng.IntN(2)))
		}
	}
	return h
}

// The rules and porcupine are each other's oracle, also where histories are longer than a
// window.
func TestRulesAndPorcupineAgree(t *testing.T) {
	broken := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		faulty := seed%5 > 0
		for _, v := range check(random(rng, 10+rng.IntN(windowSize+80), faulty)) {
			if strings.Contains(v.Detail, "one of the checks is wrong") || v.State == violated && len(v.Marks) == 0 {
				t.Errorf("seed %d: %s: %s, marks %v", seed, v.Claim, v.Detail, v.Marks)
			}
			if v.State == violated {
				broken++
				if !faulty {
					t.Errorf("seed %d: %s: %v", seed, v.Claim, v.Marks)
				}
			}
		}
	}
	if broken < 30 {
		t.Errorf("only %d claims were broken: the histories show too little", broken)
	}
}

func TestWhatIsWrongBetweenTwoWindowsIsFound(t *testing.T) {
	const last = windowSize - 1 // of the first window
	for name, c := range map[string]struct {
		claim string
		plant func(h *History)
	}{
		"a hold that has not ended": {"I1", func(h *History) { h.Tries[last].End = h.Tries[last+1].Return + ms }},
		"a hold that ends much later": {"I1", func(h *History) {
			h.Tries[3].End = h.Tries[last+2].Return + ms
			for i := 4; i < last+2; i++ { // no other hold is in its way
				h.Tries[i].End = h.Tries[i].Return
			}
		}},
		"a token of a later caller": {"I2", func(h *History) {
			h.Tries[last+1].Call = h.Tries[last].Return - 50*ms // so the window begins before the last one was granted
			h.Tries[last+2].Call = h.Tries[last+2].Return - ms
			h.Tries[last].Token = h.Tries[last+2].Token + 5
		}},
		"a token smaller than all of before": {"I2", func(h *History) {
			for i := last + 1; i < len(h.Tries); i++ {
				h.Tries[i].Call = h.Tries[i].Return - ms
			}
			h.Tries[last+5].Call = h.Tries[last].Return + ms // so the tries of its window were granted meanwhile
			h.Tries[last+5].Token = 5
		}},
		"a token smaller than all of before, the last of which is a reader's": {"I2", func(h *History) {
			for i := last + 1; i < len(h.Tries); i++ {
				h.Tries[i].Call = h.Tries[i].Return - ms
			}
			h.Tries[last].Reader = true
			h.Tries[last+5].Call = h.Tries[last].Return + ms
			h.Tries[last+5].Token = 5
		}},
	} {
		h := random(rand.New(rand.NewPCG(1, 1)), windowSize+20, false)
		c.plant(h)
		for _, v := range check(h) {
			if (v.Claim == c.claim) != (v.State == violated) && v.Claim != "I3" || strings.Contains(v.Detail, "one of the checks is wrong") {
				t.Errorf("%s: %s %s: %s", name, v.Claim, v.State, v.Detail)
			}
		}
	}
}
