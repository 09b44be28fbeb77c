package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// What porcupine is asked: is there an order of the calls, each at one instant between its
// beginning and its end, that a single lock, one source of tokens, or one counter could
// have gone through? [Herlihy & Wing 1990; Lowe 2017.]
//
// What it remembers grows with the square of the history, so it is shown windows of it. Each
// of the models says why nothing is missed between two of them.

const windowSize = 200

// model is what the models have in common: states and inputs of their own types.
func model[S comparable, I any](initial S, step func(S, I) (bool, S)) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return initial },
		Step: func(state, input, _ any) (bool, any) {
			return step(state.(S), input.(I))
		},
	}
}

func operation(input any, call, ret time.Duration) porcupine.Operation {
	return porcupine.Operation{Input: input, Call: int64(call), Return: int64(max(call, ret))}
}

// A lockCall takes the lock or gives it back.
type lockCall struct {
	take bool
	try  int
}

const free = -1

var lockModel = model(free, func(holder int, c lockCall) (bool, int) {
	if c.take {
		return holder == free, c.try
	}
	return holder == c.try, free
})

// lockIsLinearizable checks holds of one lock, in order of their grants. A hold is taken
// between call and grant, and given back between the instant at which its process stopped
// to know that it held it and the return of Unlock: it may have expired as early as that.
//
// Two holds conflict if what their processes knew overlaps, and only then: otherwise each
// can be taken at its grant and given back at the end of that knowledge. So a
// window needs, besides its own, the earlier holds that had not ended when it begins.
func lockIsLinearizable(h *History, tries []int) bool {
	var window []int
	for part := range slices.Chunk(tries, windowSize) {
		begin := h.Tries[part[0]].Return
		window = slices.DeleteFunc(window, func(i int) bool { return h.Tries[i].End < begin })
		window = append(window, part...)
		var calls []porcupine.Operation
		for _, i := range window {
			t := h.Tries[i]
			calls = append(calls, operation(lockCall{true, i}, t.Call, t.Return), operation(lockCall{false, i}, t.End, t.Unlocked))
		}
		if !porcupine.CheckOperations(lockModel, calls) {
			return false
		}
	}
	return true
}

var tokenModel = model(uint64(0), func(last, token uint64) (bool, uint64) {
	return token > last, token
})

// tokensAreLinearizable checks tokens of one lock, in order of their grants. An earlier one
// constrains a window if it was granted before some call in it: of the tokens granted
// before all of them only the largest can matter, the others are shown.
func tokensAreLinearizable(h *History, tries []int) bool {
	var earlier []int
	for part := range slices.Chunk(tries, windowSize) {
		first := h.Tries[part[0]].Call
		for _, i := range part {
			first = min(first, h.Tries[i].Call)
		}
		largest := -1
		earlier = slices.DeleteFunc(earlier, func(i int) bool {
			t := h.Tries[i]
			before := t.Return < first
			if before && (largest < 0 || t.Token > h.Tries[largest].Token) {
				largest = i
			}
			return before
		})
		if largest >= 0 {
			earlier = append(earlier, largest)
		}
		earlier = append(earlier, part...)
		var calls []porcupine.Operation
		for _, i := range earlier {
			t := h.Tries[i]
			calls = append(calls, operation(t.Token, t.Call, t.Return))
		}
		if !porcupine.CheckOperations(tokenModel, calls) {
			return false
		}
	}
	return true
}

// A counter is the fenced one: a value and the largest token it has seen.
type counter struct {
	value int64
	token uint64
}

// A counterCall is a claim or a write, and what was answered.
type counterCall struct {
	write   bool
	token   uint64
	value   int64 // that was read
	refused bool
	unknown bool // so the value is not known
}

func stepCounter(c counter, call counterCall) (bool, counter) {
	if call.refused {
		return call.token < c.token, c
	}
	// A write that does not go on from the value is an update lost.
	ok := call.token >= c.token && (call.value == c.value || call.unknown)
	c.token = call.token
	if call.write {
		c.value++
	}
	return ok, c
}

// counterIsLinearizable checks the fenced counter of one lock. Windows end where no call is
// under way: there all that went well has been counted, and so the state is known.
func counterIsLinearizable(h *History, f Final) bool {
	var calls []porcupine.Operation
	for _, t := range h.Tries {
		for _, w := range t.Writes {
			if t.Name != f.Name || !w.Fenced {
				continue
			}
			calls = append(calls, operation(counterCall{false, t.Token, w.Value, w.Refused && w.Sent == 0, w.Unknown}, w.Begun, w.Read))
			if w.Sent > 0 {
				calls = append(calls, operation(counterCall{true, t.Token, w.Value, w.Refused, false}, w.Sent, w.Done))
			}
		}
	}
	slices.SortStableFunc(calls, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var now counter
	for len(calls) > 0 {
		n, after, end := 0, now, int64(-1)
		for n < len(calls) && (n < windowSize || calls[n].Call <= end) {
			c := calls[n].Input.(counterCall)
			if !c.refused {
				after.token = max(after.token, c.token)
				if c.write {
					after.value++
				}
			}
			end = max(end, calls[n].Return)
			n++
		}
		if !porcupine.CheckOperations(model(now, stepCounter), calls[:n]) {
			return false
		}
		calls, now = calls[n:], after
	}
	return now.value == f.Fenced // the last read, when nothing was under way
}
