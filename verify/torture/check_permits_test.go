package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// permit adds a hold of a slot of semaphore A, by a client that takes it to have so many slots.
func (h *History) permit(client int, from, to time.Duration, token uint64, slot, slots int) *Try {
	t := h.hold(client, from, to, token)
	t.Mode, t.Permit = "Acquire", &Permit{Semaphore: "semaphore A", Slots: slots, Slot: slot}
	t.Name = slotName("semaphore A", slot)
	return t
}

// limiting is a history of a semaphore that has two slots for processes 1 and 3, and four for 2 and 4, in
// which nothing happens yet.
func limiting() *History {
	h := busy("A")
	h.Run.Semaphores = []Semaphore{{"semaphore A", []int{2, 4, 2, 4}}}
	for _, name := range h.Run.slots() {
		h.Finals = append(h.Finals, Final{Name: name})
	}
	return h
}

// Indexes of the tries of permits.
const (
	slot0 = iota
	slot1
	slot2
	slot3
	slot1Again
	slot0OfDead
	slot0Again
	slotRefused
)

// permits is a sound history of a semaphore: all slots are held once, and a holder of one is killed.
func permits() *History {
	h := limiting()
	h.permit(0, 10*ms, 50*ms, 100, 0, 2)
	h.permit(0, 20*ms, 60*ms, 200, 1, 2)
	h.incremented("semaphore A/1", 21*ms, 0)
	h.permit(1, 30*ms, 70*ms, 300, 2, 4)
	h.permit(1, 40*ms, 80*ms, 90, 3, 4)
	h.permit(2, 65*ms, 90*ms, 250, 1, 2)
	h.incremented("semaphore A/1", 66*ms, 1)
	dead := h.permit(0, 100*ms, 300*ms, 400, 0, 2)
	dead.Killed, dead.Unlock, dead.Unlocked = 150*ms, 151*ms, 300*ms
	h.permit(3, 310*ms, 330*ms, 500, 0, 4)
	h.Tries = append(h.Tries, Try{Client: 2, Name: "semaphore A", Mode: "TryAcquire", Call: 60 * ms, Return: 62 * ms, Err: "taken",
		Permit: &Permit{Semaphore: "semaphore A", Slots: 2}})
	return h
}

func TestASoundHistoryOfPermitsIsAccepted(t *testing.T) {
	h := permits()
	for _, v := range check(h) {
		if v.State != holds {
			t.Errorf("%s: %s, %s %v", v.Claim, v.State, v.Detail, v.Marks)
		}
		switch {
		case v.Claim == "S3" && !strings.HasPrefix(v.Detail, "7 permits, all slots were held 1 times, 0 times too many"),
			v.Claim == "S4" && !strings.HasPrefix(v.Detail, "1 slots of holders that were killed, 1 granted again, 1 of them within a TTL after their deadline, the slowest 10ms after"):
			t.Errorf("%s: %s", v.Claim, v.Detail)
		}
	}
	if text := grantsByKind(h); !strings.HasSuffix(text, "; 7 permits") || !strings.HasPrefix(text, "0 of one lock") {
		t.Error(text)
	}
}

func TestWhatIsWrongWithPermitsIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		claims string
		tries  []int // that the mark of the first names
		plant  func(h *History)
	}{
		"two holders of a slot":                         {"S1", []int{slot1, slot1Again}, func(h *History) { h.Tries[slot1].End, h.Tries[slot1].Unlocked = 67*ms, 68*ms }},
		"two holders of a slot, of different processes": {"S1", []int{slot0, 8}, func(h *History) { h.permit(3, 15*ms, 18*ms, 150, 0, 4) }},
		"a holder before the deadline of a dead one":    {"S1", []int{slot0OfDead, slot0Again}, func(h *History) { h.Tries[slot0Again].Call, h.Tries[slot0Again].Return = 280*ms, 290*ms }},
		"more holders than slots": {"S3", []int{slot0, slot1, slot2, slot3, 8}, func(h *History) {
			h.permit(3, 45*ms, 48*ms, 600, 4, 5)
		}},
		"more holders than slots, and so two of one": {"S1 S3", []int{slot1, 8}, func(h *History) { h.permit(3, 45*ms, 48*ms, 210, 1, 4) }},
		"a slot that it does not have":               {"S3", []int{slot2}, func(h *History) { h.Tries[slot2].Permit.Slots = 2 }},
		"no slot":                                    {"S3", []int{slot2}, func(h *History) { h.Tries[slot2].Permit.Slot = -1 }},
		"a smaller token for the same slot":          {"S2 I3", []int{slot1, slot1Again}, func(h *History) { h.Tries[slot1Again].Token = 150 }},
		"the same token for the same slot":           {"S2", []int{slot0OfDead, slot0Again}, func(h *History) { h.Tries[slot0Again].Token = 400 }},
		"no token for a slot":                        {"S2", []int{slot3, slot3}, func(h *History) { h.Tries[slot3].Token = 0 }},
		"an update of the resource of a slot lost":   {"I3", nil, func(h *History) { h.Finals[2].Fenced = 1 }},
		"two updates of it from one value": {"I3", []int{slot1, slot1Again}, func(h *History) {
			h.Tries[slot1Again].Writes[1].Value = 0
			h.Finals[2].Fenced = 1
		}},
		"a majority denies a permit that is held": {"I4", []int{slot2}, func(h *History) { h.Tries[slot2].Lost = "lock was lost" }},
		"a slot of a dead holder is not granted again": {"S4", []int{slot0OfDead}, func(h *History) {
			h.Tries[slot0Again].Permit.Slot, h.Tries[slot0Again].Name = 1, slotName("semaphore A", 1)
			h.others(manyGrants(4), 510*ms, 1, 4)
		}},
	} {
		h := permits()
		c.plant(h)
		for _, v := range check(h) {
			if strings.Contains(c.claims, v.Claim) != (v.State == violated) || strings.Contains(v.Detail, "one of the checks is wrong") {
				t.Errorf("%s: %s %s: %s %v", name, v.Claim, v.State, v.Detail, v.Marks)
			}
			named := func(m Mark) bool { return slices.Equal(m.Tries, c.tries) && m.Begin < m.End }
			if strings.HasPrefix(c.claims, v.Claim) && c.tries != nil && !anyOf(v.Marks, named) {
				t.Errorf("%s: %v", name, v.Marks)
			}
		}
	}
}

// others adds holds of a slot, one after the other.
func (h *History) others(count int, from time.Duration, slot, slots int) {
	for i := range count {
		begin := from + time.Duration(10*i)*ms
		h.permit(3, begin, begin+4*ms, uint64(1000+i), slot, slots)
	}
}

// A slot that is not granted again shows nothing where few others were, or callers that had fewer slots,
// or that asked when the dead one's keys may have been there still.
func TestASlotOfADeadHolderThatFewCouldHaveTakenIsNoViolation(t *testing.T) {
	const late = 510 * ms // a TTL after the deadline, and what a try has asked before its grant
	for name, c := range map[string]struct {
		of    int // the slot of the dead one
		plant func(h *History)
		state state
	}{
		"many":              {0, func(h *History) { h.others(manyGrants(4), late, 1, 2) }, violated},
		"few":               {0, func(h *History) { h.others(manyGrants(4)-1, late, 1, 2) }, holds},
		"with fewer slots":  {2, func(h *History) { h.others(manyGrants(4), late, 1, 2) }, holds},
		"too early":         {0, func(h *History) { h.others(manyGrants(4), late-5*ms, 1, 2) }, holds},
		"before, and again": {0, func(h *History) { h.others(manyGrants(4), late, 1, 2); h.permit(2, 9*time.Second, 9100*ms, 9000, 0, 2) }, holds},
	} {
		h := limiting()
		dead := h.permit(1, 100*ms, 300*ms, 400, c.of, max(2, c.of+2))
		dead.Killed, dead.Unlock, dead.Unlocked = 150*ms, 151*ms, 300*ms
		c.plant(h)
		if v := reused(h); (len(v.Marks) > 0) != (c.state == violated) {
			t.Errorf("%s: %v, %s", name, v.Marks, v.Detail)
		}
	}
}

// crowded is a long history of a semaphore with three slots, for which clients wait at the same time;
// faulty plants one thing that may break a claim.
func crowded(rng *rand.Rand, length int, faulty bool) *History {
	h := limiting()
	h.Run.Semaphores[0].Slots = []int{3, 3, 3, 3}
	free := make([]time.Duration, 3)
	now := 50 * ms
	for i := range length {
		slot := rng.IntN(3)
		now = max(now, slices.Min(free)) + time.Duration(1+rng.IntN(3))*ms
		for free[slot] >= now {
			slot = (slot + 1) % 3
		}
		end := now + time.Duration(3+rng.IntN(20))*ms
		t := h.permit(i%len(h.Run.Clients), now, end, uint64(10*(i+1)), slot, 3)
		t.Call = max(0, now-time.Duration(rng.IntN(40))*ms)
		t.Unlocked = end + time.Duration(rng.IntN(4))*ms
		free[slot] = end
	}
	if faulty {
		t := &h.Tries[rng.IntN(length)]
		t.End += time.Duration(rng.IntN(20)) * ms
		t.Unlocked = max(t.Unlocked, t.End)
		if rng.IntN(2) == 0 { // a slot that no other has: then it is the count that is wrong
			t.Permit.Slots, t.Permit.Slot = 4, 3
			t.Name = slotName("semaphore A", 3)
		}
	}
	return h
}

func TestRulesAndPorcupineAgreeOnPermits(t *testing.T) {
	rulesAndPorcupineAgree(t, 150, 3, crowded, "S1", "S3")
}

func TestTooManyHoldersBetweenTwoWindowsAreFound(t *testing.T) {
	h := crowded(rand.New(rand.NewPCG(1, 3)), windowSize+20, false)
	const first = windowSize // of the second window
	at := h.Tries[first].Return
	h.Tries[3].End, h.Tries[3].Unlocked = at+ms, at+2*ms
	h.Tries[3].Permit.Slots, h.Tries[3].Permit.Slot, h.Tries[3].Name = 4, 3, slotName("semaphore A", 3)
	for i := range h.Tries { // three others hold then, and nobody between
		t := &h.Tries[i]
		switch {
		case i >= first-2 && i <= first:
			t.Permit.Slot = i - (first - 2)
			t.Name = slotName("semaphore A", t.Permit.Slot)
			t.End, t.Unlocked = at+5*ms, at+6*ms
		case i > first:
			t.End = t.Return // none
		case i != 3:
			t.End = t.Return + 1 // one without length would be in no window
		}
	}
	for _, v := range check(h) {
		if (v.Claim == "S3") != (v.State == violated) || strings.Contains(v.Detail, "one of the checks is wrong") {
			t.Errorf("%s %s: %s %v", v.Claim, v.State, v.Detail, v.Marks)
		}
	}
}
