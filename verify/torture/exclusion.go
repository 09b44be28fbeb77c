package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// What a lock excludes, as a rule and as a model: a holder that is alone excludes all others, and
// readers exclude none but those. A holder of several locks holds each of them: so each is checked by
// itself. (All of them are taken at one moment of the hold, so an order of the calls for each
// lock makes one for all.)

// exclusion is I1 of locks, and E1 of elections.
func exclusion(h *History, claim, says string, of func(Try) bool) Verdict {
	v := Verdict{Claim: claim, Says: says, State: holds}
	locks := byName(h, func(t Try) bool { return t.knew() && of(t) })
	count, linearizable := 0, true
	for _, name := range names(locks) {
		tries := locks[name]
		count += len(tries)
		var open []int // that began, and end after the last one began
		for _, i := range tries {
			t := h.Tries[i]
			open = slices.DeleteFunc(open, func(j int) bool { return h.Tries[j].End <= t.Return })
			for _, j := range open {
				other := h.Tries[j]
				end := conflictOf(other, t)
				if end <= t.Return {
					continue
				}
				v.Marks = append(v.Marks, Mark{name, []int{j, i}, t.Return, end, fmt.Sprintf("%s and %s both held %q for %v",
					h.holderOf(other), h.holderOf(t), name, (end - t.Return).Round(time.Microsecond))})
			}
			open = append(open, i)
		}
		linearizable = lockIsLinearizable(h, tries) && linearizable
	}
	v.Detail = fmt.Sprintf("%d holds, %d overlap", count, len(v.Marks))
	return agree(v, linearizable)
}

// conflictOf is the end of the time in which the later of two holds and the earlier one exclude each
// other, which begins with the later one if there is such a time. (A holder that is alone at first may
// be a reader later.)
func conflictOf(earlier, later Try) time.Duration {
	return max(min(earlier.alone(), later.End), min(earlier.End, later.alone()))
}

// holderOf names the client of a hold, and what it shares or holds besides.
func (h *History) holderOf(t Try) string {
	what := h.clientOf(t)
	switch {
	case t.Reader:
		what += ", a reader,"
	case t.Shared > 0:
		what += ", a reader in the end,"
	case t.Names != nil:
		what += fmt.Sprintf(", with all of %q,", t.Name)
	}
	return what
}

// A lockCall is a step of a hold.
type lockCall int

const (
	enter lockCall = iota // a reader comes
	leave                 // and goes
	take                  // a holder that is alone comes
	share                 // becomes a reader
	drop                  // and goes
)

// A lockState is how many readers a lock has, or that one holder has it alone.
type lockState int

const (
	taken lockState = -1
	free  lockState = 0
)

var lockModel = model(free, func(s lockState, c lockCall) (bool, lockState) {
	switch c {
	case enter:
		return s != taken, s + 1
	case leave:
		return s > free, s - 1
	case take:
		return s == free, taken
	case share:
		return s == taken, 1
	}
	return s == taken, free
})

// callsOf are the steps of a hold. It begins between call and grant, and ends between the instant
// at which its process stopped to know that it held it and the return of Unlock: it may
// have expired as early as that. A holder becomes a reader as soon as it asks to, or later.
func callsOf(t Try) []porcupine.Operation {
	begin := func(c lockCall) porcupine.Operation { return operation(c, t.Call, t.Return) }
	end := func(c lockCall) porcupine.Operation { return operation(c, t.End, t.Unlocked) }
	switch alone := t.alone(); {
	case alone == t.End:
		return []porcupine.Operation{begin(take), end(drop)}
	case alone > t.Return:
		return []porcupine.Operation{begin(take), operation(share, alone, t.End), end(leave)}
	}
	return []porcupine.Operation{begin(enter), end(leave)}
}

// lockIsLinearizable checks holds of one lock, in order of their grants.
//
// Two holds conflict if what their processes knew overlaps where one was alone, and only then:
// otherwise each can be taken at its grant, shared when it was to be, and given back at the end of that
// knowledge.
func lockIsLinearizable(h *History, tries []int) bool {
	return holdsAreLinearizable(h, tries, lockModel, callsOf)
}

// holdsAreLinearizable checks holds, in order of their grants, window by window. What is wrong shows at the
// grant of the last hold that is part of it: so a window needs, besides its own, the earlier holds that
// had not ended when it begins.
func holdsAreLinearizable(h *History, tries []int, model porcupine.Model, callsOf func(Try) []porcupine.Operation) bool {
	var window []int
	for part := range slices.Chunk(tries, windowSize) {
		begin := h.Tries[part[0]].Return
		window = slices.DeleteFunc(window, func(i int) bool { return h.Tries[i].End < begin })
		window = append(window, part...)
		var calls []porcupine.Operation
		for _, i := range window {
			calls = append(calls, callsOf(h.Tries[i])...)
		}
		if !porcupine.CheckOperations(model, calls) {
			return false
		}
	}
	return true
}
