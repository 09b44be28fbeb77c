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
			if t.counterOf(w) != f.Name || !w.Fenced {
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
