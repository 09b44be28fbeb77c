package main

import "fmt"

// usesOf returns the uses of one path or election that are wanted.
func (h *History) usesOf(name string, wanted func(Use) bool) (all []Use) {
	for _, u := range h.Uses {
		if u.Name == name && wanted(u) {
			all = append(all, u)
		}
	}
	return all
}

// forgetful is what is said of a claim about values where servers may forget.
func forgetful(h *History, v *Verdict) bool {
	if h.Run.Outside {
		v.State, v.Detail = unclear, "servers were allowed to forget, which a guard does not make good"
	}
	return h.Run.Outside
}

// boards is B1.
func boards(h *History) Verdict {
	v := Verdict{Claim: "B1", Says: "Each path is one register: what is read, and what watchers are told, has one order in which every write comes between its call and its return", State: holds}
	if forgetful(h, &v) {
		return v
	}
	writes, open, reads, unconfirmed, linearizable := 0, 0, 0, 0, true
	for _, path := range h.Run.Paths {
		uses := h.usesOf(path, func(u Use) bool {
			switch {
			case u.Kind.writes() && u.acknowledged():
				writes++
			case u.Kind.writes():
				open++
			case !u.acknowledged(), u.None && u.Kind == watch:
				return false
			case !u.None && !u.Confirmed:
				unconfirmed++ // it says itself that a later reader may find an earlier value
				return false
			default:
				reads++
			}
			return true
		})
		marks, ok := register(path, uses)
		v.Marks, linearizable = append(v.Marks, marks...), linearizable && ok
	}
	v.Detail = fmt.Sprintf("%d values published, %d more of unknown outcome, %d times read or told, %d times not confirmed", writes, open, reads, unconfirmed)
	return agree(v, linearizable)
}

// watchers is B2.
func watchers(h *History) Verdict {
	v := Verdict{Claim: "B2", Says: "A watcher never goes back to an earlier value", State: holds}
	told := 0
	for _, path := range h.Run.Paths {
		v.Marks = append(v.Marks, backwards(h, path, watch, &told)...)
	}
	v.Detail = fmt.Sprintf("told %d times, %d times of an earlier value", told, len(v.Marks))
	return v
}

// A teller is one watcher: each process has one for each name, in each of its lives.
type teller struct {
	client, life int
}

// backwards finds where a watcher was told of an earlier version than before, or of another
// value and then of one that it had left.
func backwards(h *History, name string, kind use, told *int) (marks []Mark) {
	type memory struct {
		Use
		left map[string]bool
	}
	last := make(map[teller]memory)
	for _, u := range h.usesOf(name, func(u Use) bool { return u.Kind == kind && u.acknowledged() && !u.None }) {
		*told++
		who := teller{u.Client, u.Life}
		before, known := last[who]
		if !known {
			before.left = make(map[string]bool)
		}
		key := fmt.Sprint(u.Term, u.Value)
		if u.Term < before.Term || u.Term == before.Term && u.Seq < before.Seq || before.left[key] {
			marks = append(marks, Mark{Name: name, Begin: before.Done, End: u.Done, Text: fmt.Sprintf("a watcher in process %d was told %q (%d.%d) after %q (%d.%d)",
				h.Run.Clients[u.Client].Process+1, u.Value, u.Term, u.Seq, before.Value, before.Term, before.Seq)})
		}
		if before.Use != (Use{}) && before.Value != u.Value {
			before.left[fmt.Sprint(before.Term, before.Value)] = true
		}
		last[who] = memory{u, before.left}
	}
	return marks
}
