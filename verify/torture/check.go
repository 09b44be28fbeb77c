package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A state is what became of a claim.
type state string

const (
	holds    state = "holds"
	violated state = "violated"
	unclear  state = "not checked"
)

// A Verdict is what the history says about one claim.
type Verdict struct {
	Claim  string // its short name
	Says   string // what is claimed
	State  state
	Detail string // figures
	Marks  []Mark `json:",omitempty"` // where it is violated
}

// A Mark is a position in the history.
type Mark struct {
	Name  string        // of the lock
	Tries []int         // indexes of holds that exclude each other
	Begin time.Duration // of what is wrong
	End   time.Duration
	Text  string
}

// check holds the history against all claims.
//
// Claims about locks, tokens and the fenced counter are checked twice: by porcupine, and by
// a rule written down here that also finds the position. If one of them is wrong, they
// differ, and that is a violation as well.
func check(h *History) []Verdict {
	all := []Verdict{
		exclusion(h, "I1", "Never do two clients know at the same moment that they hold the lock, unless both are readers; one that was killed counts until its deadline", lockOnly),
		tokens(h, "I2", "Tokens are unique, and a lock asked for after another was granted has the larger one; a reader has one as large at least", lockOnly),
		fencedCounter(h), carried(h), noLeftovers(h), progress(h),
	}
	if len(h.Run.Semaphores) > 0 {
		all = append(all,
			exclusion(h, "S1", "Never do two processes know at the same moment that they hold the same slot of a semaphore", Try.permitted),
			tokens(h, "S2", "Tokens of a slot are unique, and grow", Try.permitted),
			capacity(h), reused(h),
		)
	}
	if len(h.Run.Elections) > 0 {
		all = append(all,
			exclusion(h, "E1", "Never do two processes know at the same moment that they lead", Try.campaigned),
			tokens(h, "E2", "Terms are unique, and grow", Try.campaigned),
			previous(h), shown(h), elected(h), noneInTime(h), heardInTime(h),
		)
	}
	if len(h.Run.Paths) > 0 {
		all = append(all, boards(h), watchers(h))
	}
	for i := range all {
		if v := &all[i]; len(v.Marks) > 0 {
			v.State = violated
		}
	}
	return all
}

// agree makes a verdict from what porcupine and the rule say.
func agree(v Verdict, linearizable bool) Verdict {
	switch {
	case linearizable == (len(v.Marks) == 0):
	case linearizable:
		v.Detail += "; porcupine finds nothing: one of the checks is wrong"
	default:
		v.State = violated
		v.Detail += "; porcupine finds no order that explains it"
	}
	return v
}

// byName returns the indexes of the tries that are wanted, for each lock, in order of
// their return.
func byName(h *History, wanted func(Try) bool) map[string][]int {
	all := make(map[string][]int)
	for i, t := range h.Tries {
		if wanted(t) {
			for _, name := range t.names() {
				all[name] = append(all[name], i)
			}
		}
	}
	for _, tries := range all {
		slices.SortStableFunc(tries, func(a, b int) int { return cmp.Compare(h.Tries[a].Return, h.Tries[b].Return) })
	}
	return all
}

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func lockOnly(t Try) bool { return !t.campaigned() && !t.permitted() }

// fencedCounter is I3.
func fencedCounter(h *History) Verdict {
	v := Verdict{Claim: "I3", Says: "A resource that checks the token loses no update, however late a holder wakes up", State: holds}
	s := countWrites(h)
	if !h.Run.Fencing {
		v.State, v.Detail = unclear, "locks had no tokens"
		return v
	}
	linearizable := true
	for _, f := range h.Finals {
		if counter := s[f.Name]; counter.fenced != f.Fenced {
			v.Marks = append(v.Marks, Mark{Name: f.Name, Begin: h.Calm.Begun, End: h.Calm.Begun, Text: fmt.Sprintf("the fenced counter of %q had %d updates and is %d", f.Name, counter.fenced, f.Fenced)})
		}
		linearizable = counterIsLinearizable(h, f) && linearizable
	}
	v.Marks = append(append(v.Marks, twice(h, true)...), gaps(h)...)
	v.Detail = fmt.Sprintf("%d updates, %d lost; %d refused because they came late", s.total().fenced, s.lost(h.Finals, true), s.total().refused)
	return agree(v, linearizable)
}

// carried is I4.
func carried(h *History) Verdict {
	v := Verdict{Claim: "I4", Says: "While a lock is valid, a majority of the servers has it", State: holds}
	if h.Run.Outside {
		v.State, v.Detail = unclear, "servers were allowed to forget"
		return v
	}
	count := 0
	for i, t := range h.Tries {
		if !t.granted() {
			continue
		}
		count++
		if t.Lost != "" && t.End < t.Until && !strings.Contains(t.Lost, "lock expired") {
			v.Marks = append(v.Marks, Mark{t.Name, []int{i}, t.Return, t.End, fmt.Sprintf("%s lost %q %v too early: %s", h.clientOf(t), t.Name, t.Until-t.End, t.Lost)})
		}
	}
	v.Detail = fmt.Sprintf("%d grants, %d denied too early", count, len(v.Marks))
	return v
}

// progress is I6, in the numbering of the design.
func progress(h *History) Verdict {
	v := Verdict{Claim: "I6", Says: "When the faults have ended, every client gets every lock in time", State: holds}
	v.Detail = fmt.Sprintf("the slowest after %v, within %v allowed", h.Calm.Slowest.Round(time.Millisecond), h.Calm.Bound)
	for _, missing := range h.Calm.Missing {
		v.Marks = append(v.Marks, Mark{Begin: h.Calm.Begun, End: h.Calm.Begun + h.Calm.Bound, Text: missing})
	}
	return v
}

// clean is I5.
func noLeftovers(h *History) Verdict {
	v := Verdict{Claim: "I5", Says: "When the clients have closed, no server has a lock's key left", State: holds, Detail: "none is left"}
	for _, text := range append(slices.Clone(h.Calm.Unclosed), h.Calm.Left...) {
		v.Marks = append(v.Marks, Mark{Begin: h.Calm.Begun, End: h.Calm.Begun + h.Calm.Bound, Text: text})
	}
	if len(v.Marks) > 0 {
		v.Detail = fmt.Sprintf("%d keys are left, %d clients could not settle all", len(h.Calm.Left), len(h.Calm.Unclosed))
	}
	return v
}

// clientOf names the client of a try.
func (h *History) clientOf(t Try) string {
	return fmt.Sprintf("client %d (%s)", t.Client+1, h.Run.Clients[t.Client].Adapter)
}
