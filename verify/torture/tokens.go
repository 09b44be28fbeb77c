package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// What tokens promise, as a rule and as a model. Those of several locks taken at once are one token of
// each. A reader has none of its own: it is told the largest that it could know of, which is that of
// the last holder before it, or of one that was not granted in the end. Where all servers forget there is
// none to know of, and a guard does not bring it back. The token of a holder comes from the time.

// tokens is I2 of locks, and E2 of the terms of leaders.
func tokens(h *History, claim, says string, of func(Try) bool) Verdict {
	v := Verdict{Claim: claim, Says: says, State: holds}
	forgotten := 0 // readers whose token may be forgotten
	locks := byName(h, func(t Try) bool {
		if !t.granted() || !of(t) || !h.Run.Fencing && t.Token == 0 {
			return false
		}
		if t.Reader && h.Run.Outside {
			forgotten++
			return false
		}
		return true
	})
	if !h.Run.Fencing && len(locks) == 0 {
		v.State, v.Detail = unclear, "locks had no tokens"
		return v
	}
	count, linearizable := 0, true
	for _, name := range names(locks) {
		tries := locks[name]
		count += len(tries)
		v.Marks = append(v.Marks, disorder(h, name, tries)...)
		linearizable = tokensAreLinearizable(h, tries) && linearizable
	}
	v.Detail = fmt.Sprintf("%d tokens, %d out of order", count, len(v.Marks))
	if forgotten > 0 {
		v.Detail += fmt.Sprintf("; those of %d readers are not compared where servers forget", forgotten)
	}
	return agree(v, linearizable)
}

// disorder finds tokens that were given twice or are not larger than one that was given
// before they were asked for, and readers whose token is smaller than such a one.
func disorder(h *History, name string, tries []int) (marks []Mark) {
	mark := func(j, i int, text string) {
		a, b := h.Tries[j], h.Tries[i]
		marks = append(marks, Mark{name, []int{j, i}, b.Return, max(b.End, b.Return), fmt.Sprintf("%s: %d of %s, then %d of %s", text, a.Token, h.clientOf(a), b.Token, h.clientOf(b))})
	}
	seen := make(map[uint64]int)
	asked := slices.Clone(tries)
	slices.SortStableFunc(asked, func(a, b int) int { return cmp.Compare(h.Tries[a].Call, h.Tries[b].Call) })
	returned, largest := 0, -1 // of the tries that returned before the call of this one, in order of return; readers hand out none
	for _, i := range asked {
		t := h.Tries[i]
		for ; returned < len(tries) && h.Tries[tries[returned]].Return < t.Call; returned++ {
			j := tries[returned]
			if before := h.Tries[j]; !before.Reader && (largest < 0 || before.Token > h.Tries[largest].Token) {
				largest = j
			}
		}
		if t.Reader {
			if largest >= 0 && h.Tries[largest].Token > t.Token {
				mark(largest, i, "a reader with a smaller token")
			}
			continue
		}
		if j, twice := seen[t.Token]; twice {
			mark(j, i, "the same token")
		} else if t.Token == 0 {
			mark(i, i, "no token")
		} else if largest >= 0 && h.Tries[largest].Token >= t.Token {
			mark(largest, i, "a smaller token")
		}
		seen[t.Token] = i
	}
	return marks
}

// A tokenCall hands out a token, or tells a reader one that may be the last, or larger.
type tokenCall struct {
	reader bool
	token  uint64
}

var tokenModel = model(uint64(0), func(last uint64, c tokenCall) (bool, uint64) {
	if c.reader {
		return c.token >= last, last
	}
	return c.token > last, c.token
})

// tokensAreLinearizable checks tokens of one lock, in order of their grants. An earlier one
// constrains a window if it was granted before some call in it: of the tokens granted
// before all of them only the largest can matter, the others are shown. Readers constrain
// nothing that comes later.
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
			if before && !t.Reader && (largest < 0 || t.Token > h.Tries[largest].Token) {
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
			calls = append(calls, operation(tokenCall{t.Reader, t.Token}, t.Call, t.Return))
		}
		if !porcupine.CheckOperations(tokenModel, calls) {
			return false
		}
	}
	return true
}
