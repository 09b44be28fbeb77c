package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A tally counts what happened to the counters of one lock.
type tally struct {
	unfenced, fenced int64 // increments that were acknowledged
	refused          int64 // fenced ones that came late
}

type tallies map[string]tally

func countWrites(h *History) tallies {
	all := make(tallies)
	for _, t := range h.Tries {
		for _, w := range t.Writes {
			s := all[t.counterOf(w)]
			switch {
			case w.Refused:
				s.refused++
			case w.Sent == 0: // the process was killed in between
			case w.Fenced:
				s.fenced++
			default:
				s.unfenced++
			}
			all[t.counterOf(w)] = s
		}
	}
	return all
}

func (all tallies) total() (sum tally) {
	for _, s := range all {
		sum.unfenced += s.unfenced
		sum.fenced += s.fenced
		sum.refused += s.refused
	}
	return sum
}

// lost is how many increments were acknowledged and are not in the counters.
func (all tallies) lost(finals []Final, fenced bool) (n int64) {
	for _, f := range finals {
		if fenced {
			n += all[f.Name].fenced - f.Fenced
		} else {
			n += all[f.Name].unfenced - f.Unfenced
		}
	}
	return n
}

// A writeOf is a write and the try that it belongs to.
type writeOf struct {
	Write
	try int
}

// writes lists the writes to a counter that were sent, in the order in which they ended.
func (h *History) writes(name string, fenced bool) (all []writeOf) {
	for i, t := range h.Tries {
		for _, w := range t.Writes {
			if t.counterOf(w) == name && w.Fenced == fenced && w.Sent > 0 && !w.Refused {
				all = append(all, writeOf{w, i})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b writeOf) int { return cmp.Compare(a.Done, b.Done) })
	return all
}

// twice finds increments that started from a value from which another one did: one of
// the two is lost.
func twice(h *History, fenced bool) (marks []Mark) {
	for _, name := range h.Run.counted() {
		from := make(map[int64]writeOf)
		for _, w := range h.writes(name, fenced) {
			if first, again := from[w.Value]; again {
				marks = append(marks, Mark{name, []int{first.try, w.try}, w.Begun, w.Done, fmt.Sprintf("an update of %q is lost: %s and %s both made %d of %d",
					name, h.clientOf(h.Tries[first.try]), h.clientOf(h.Tries[w.try]), w.Value+1, w.Value)})
			}
			from[w.Value] = w
		}
	}
	return marks
}

// A fenceCall is one question that a fenced counter was asked: a claim or a write.
type fenceCall struct {
	try         int
	token       uint64
	begun, done time.Duration
	refused     bool
}

func (h *History) fenceCalls(name string) (all []fenceCall) {
	for i, t := range h.Tries {
		for _, w := range t.Writes {
			if t.counterOf(w) != name || !w.Fenced {
				continue
			}
			all = append(all, fenceCall{i, t.Token, w.Begun, w.Read, w.Refused && w.Sent == 0})
			if w.Sent > 0 {
				all = append(all, fenceCall{i, t.Token, w.Sent, w.Done, w.Refused})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b fenceCall) int { return cmp.Compare(a.begun, b.begun) })
	return all
}

// gaps finds where the fence let in a token although it had let in a larger one before, or
// refused the largest.
func gaps(h *History) (marks []Mark) {
	for _, name := range h.Run.counted() {
		calls := h.fenceCalls(name)
		ended := slices.Clone(calls)
		slices.SortStableFunc(ended, func(a, b fenceCall) int { return cmp.Compare(a.done, b.done) })
		n, largest := 0, fenceCall{} // of the calls that were let in before this one began
		for _, c := range calls {
			for ; n < len(ended) && ended[n].done < c.begun; n++ {
				if !ended[n].refused && ended[n].token > largest.token {
					largest = ended[n]
				}
			}
			what := ""
			switch {
			case !c.refused && largest.token > c.token:
				what = fmt.Sprintf("was let in after %d of %s", largest.token, h.clientOf(h.Tries[largest.try]))
			case c.refused && !slices.ContainsFunc(calls, func(d fenceCall) bool { return !d.refused && d.token > c.token && d.begun <= c.done }):
				what = "was refused, and no larger one had been seen"
			default:
				continue
			}
			marks = append(marks, Mark{name, []int{c.try}, c.begun, c.done, fmt.Sprintf("token %d of %s %s", c.token, h.clientOf(h.Tries[c.try]), what)})
		}
	}
	return marks
}
