package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// What semaphores promise besides what a lock does. A slot is a lock under its own name: that no slot
// has two holders, and that its tokens grow, is checked as it is of locks. How many hold a permit is
// counted here, whatever numbers their slots have.

// capacity is S3.
func capacity(h *History) Verdict {
	v := Verdict{Claim: "S3", Says: "Never do more processes know that they hold a permit than the semaphore has slots, and each has one of its own slots", State: holds}
	count, linearizable, full := 0, true, 0
	for _, s := range h.Run.Semaphores {
		tries := h.permits(s.Name)
		count += len(tries)
		var open []int
		for _, i := range tries {
			t := h.Tries[i]
			open = slices.DeleteFunc(open, func(j int) bool { return h.Tries[j].End <= t.Return })
			open = append(open, i)
			if len(open) == s.most() {
				full++
			}
			if len(open) <= s.most() {
				continue
			}
			end := t.End
			for _, j := range open {
				end = min(end, h.Tries[j].End)
			}
			v.Marks = append(v.Marks, Mark{s.Name, slices.Clone(open), t.Return, end, fmt.Sprintf("%d held a permit of %q, %s was the last; it has %d slots", len(open), s.Name, h.holderOf(t), s.most())})
		}
		linearizable = permitsAreLinearizable(h, tries, s.most()) && linearizable
	}
	v = agree(v, linearizable)
	for i, t := range h.Tries {
		if t.permitted() && t.granted() && (t.Permit.Slot < 0 || t.Permit.Slot >= t.Permit.Slots) {
			v.Marks = append(v.Marks, Mark{t.Name, []int{i}, t.Return, t.End, fmt.Sprintf("%s was granted slot %d of %d", h.clientOf(t), t.Permit.Slot, t.Permit.Slots)})
		}
	}
	v.Detail = fmt.Sprintf("%d permits, all slots were held %d times, %d times too many", count, full, len(v.Marks)) + v.Detail
	return v
}

// permits are the holds of slots of a semaphore, in order of their grants.
func (h *History) permits(semaphore string) []int {
	var all []int
	for i, t := range h.Tries {
		if t.permitted() && t.knew() && t.Permit.Semaphore == semaphore {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(h.Tries[a].Return, h.Tries[b].Return) })
	return all
}

// permitModel is a semaphore that counts. A step is 1 for a holder more, and -1 for one less.
func permitModel(most int) porcupine.Model {
	return model(0, func(held, step int) (bool, int) {
		return held+step <= most, held + step
	})
}

// permitsAreLinearizable checks the holds of a semaphore, in order of their grants.
func permitsAreLinearizable(h *History, tries []int, most int) bool {
	return holdsAreLinearizable(h, tries, permitModel(most), func(t Try) []porcupine.Operation {
		return []porcupine.Operation{operation(1, t.Call, t.Return), operation(-1, t.End, t.Unlocked)}
	})
}

// reused is S4. Callers begin with a slot at random, so one that is free is found before manyGrants others.
func reused(h *History) Verdict {
	v := Verdict{Claim: "S4", Says: "A slot whose holder was killed is granted again when its time is over", State: holds}
	dead, again, soon, slowest := 0, 0, 0, time.Duration(0)
	most := make(map[string]int)
	for _, s := range h.Run.Semaphores {
		most[s.Name] = s.most()
	}
	for i, t := range h.Tries {
		if !t.diedHolding() || !t.permitted() {
			continue
		}
		dead++
		next, others := h.grantedAgain(t)
		switch {
		case next != nil:
			again++
			late := next.Return - t.Until
			slowest = max(slowest, late)
			if late <= h.Run.TTL {
				soon++
			}
		case others >= manyGrants(most[t.Permit.Semaphore]):
			v.Marks = append(v.Marks, Mark{t.Name, []int{i}, t.Until, h.Calm.Begun, fmt.Sprintf("%q of %s, which was killed, is not granted again, and other slots were %d times", t.Name, h.clientOf(t), others)})
		}
	}
	v.Detail = fmt.Sprintf("%d slots of holders that were killed, %d granted again, %d of them within a TTL after their deadline, the slowest %v after", dead, again, soon, slowest.Round(time.Millisecond))
	return v
}

// grantedAgain is the next grant of the slot of a holder that was killed, and how many permits callers got
// that could have been granted that slot. A command that comes twice may take the slot for another TTL: so
// only callers count that asked later.
func (h *History) grantedAgain(dead Try) (next *Try, others int) {
	for i := range h.Tries {
		t := &h.Tries[i]
		if t.Name == dead.Name && t.granted() && t.Return > dead.Killed && (next == nil || t.Return < next.Return) {
			next = t
		}
	}
	for _, t := range h.Tries {
		if t.permitted() && t.granted() && t.Permit.Semaphore == dead.Permit.Semaphore && t.Permit.Slots > dead.Permit.Slot && t.Call > dead.Until+h.Run.TTL {
			others++
		}
	}
	return next, others
}

// manyGrants is how many grants of a semaphore with so many slots pass over one that is free less often
// than once in a thousand million times.
func manyGrants(slots int) int { return 21 * slots }
