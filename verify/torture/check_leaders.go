package main

import "fmt"

// What is claimed of leaders beyond their lock, which is checked as any lock is.

// A proclamation is a value of an election that was proclaimed, or may have been.
type proclamation struct {
	Use
	try int // of its campaign; -1 if that is not known
}

// proclamations returns all values of an election. That of a campaign is number 0; its term is
// that of the last time that it was elected, 0 if that is not known.
func (h *History) proclamations(name string) map[string]proclamation {
	all := make(map[string]proclamation)
	for i, t := range h.Tries {
		if t.Name == name && t.Led != nil {
			u := Use{Kind: proclaim, Client: t.Client, Name: name, Begun: t.Call, Done: t.Return, Err: t.Err, Value: t.Led.Value, Term: t.Token}
			all[u.Value] = proclamation{u, i}
		}
	}
	for _, u := range h.Uses {
		if u.Name == name && u.Kind == proclaim {
			all[u.Value] = proclamation{u, -1}
		}
	}
	return all
}

// previous is E3.
func previous(h *History) Verdict {
	v := Verdict{Claim: "E3", Says: "A leader finds what the one before it has proclaimed last, or something later that had no answer", State: holds}
	if forgetful(h, &v) {
		return v
	}
	count := 0
	for _, name := range h.Run.Elections {
		all := h.proclamations(name)
		for i, t := range h.Tries {
			if t.Name != name || !t.granted() {
				continue
			}
			count++
			mark := func(text string, args ...any) {
				v.Marks = append(v.Marks, Mark{name, []int{i}, t.Return, max(t.End, t.Return), fmt.Sprintf("%s, term %d, ", h.clientOf(t), t.Token) + fmt.Sprintf(text, args...)})
			}
			// The last one that was acknowledged in a smaller term: its leader still led
			// then, so this one was elected later.
			var last Use
			for _, p := range all {
				if p.acknowledged() && p.Term < t.Token && (p.Term > last.Term || p.Term == last.Term && p.Seq > last.Seq) {
					last = p.Use
				}
			}
			found := t.Led.Previous
			if found == nil {
				if last.Term > 0 {
					mark("finds nothing, and %q was proclaimed", last.Value)
				}
				continue
			}
			switch p, known := all[found.Value]; {
			case !known:
				mark("finds %q, which was never proclaimed", found.Value)
			case found.Term >= t.Token, p.Seq > 0 && p.Term != found.Term:
				mark("finds %q of term %d, and it is of term %d", found.Value, found.Term, p.Term)
			case found.Term < last.Term || found.Term == last.Term && p.Seq < last.Seq:
				mark("finds %q of term %d, and %q of term %d was proclaimed after that", found.Value, found.Term, last.Value, last.Term)
			}
		}
	}
	v.Detail = fmt.Sprintf("%d leaders, %d without it", count, len(v.Marks))
	return v
}

// shown is E4.
func shown(h *History) Verdict {
	v := Verdict{Claim: "E4", Says: "What is shown of leaders never goes back, neither for one observer nor from one reader to the next", State: holds}
	told, reads, linearizable := 0, 0, true
	for _, name := range h.Run.Elections {
		v.Marks = append(v.Marks, backwards(h, name, observe, &told)...)
		if h.Run.Outside {
			continue
		}
		// A value of one term: a candidate that slept may be elected twice with its first one.
		at := func(u Use) Use {
			u.Value = fmt.Sprintf("%s, term %d", u.Value, u.Term)
			return u
		}
		all := h.proclamations(name)
		var uses []Use
		written := make(map[string]bool)
		for _, p := range all {
			if p.Term > 0 {
				uses, written[at(p.Use).Value] = append(uses, at(p.Use)), true
			}
		}
		for _, u := range h.usesOf(name, func(u Use) bool { return u.Kind == leader || u.Kind == observe }) {
			if !u.acknowledged() || u.None || !u.Confirmed {
				continue
			}
			if reads++; !written[at(u).Value] {
				// It was elected in that term, and killed, or slept until that was over.
				if p, known := all[u.Value]; known && p.try >= 0 {
					p.Term, p.Err = u.Term, "the term is not known"
					uses, written[at(p.Use).Value] = append(uses, at(p.Use)), true
				}
			}
			uses = append(uses, at(u))
		}
		marks, ok := register(name, uses)
		v.Marks, linearizable = append(v.Marks, marks...), linearizable && ok
	}
	v.Detail = fmt.Sprintf("observers were told of a leader %d times, %d times one was read or told of, %d times of an earlier one", told, reads, len(v.Marks))
	if h.Run.Outside {
		v.Detail = fmt.Sprintf("observers were told of a leader %d times, %d times of an earlier one; readers are not compared where servers forget", told, len(v.Marks))
		return v
	}
	if len(v.Marks) > 0 {
		linearizable = false // observers alone may have gone back
	}
	return agree(v, linearizable)
}

// elected is E5.
func elected(h *History) Verdict {
	v := Verdict{Claim: "E5", Says: "A leader that is shown had been elected, and had proclaimed what is shown", State: holds}
	count := 0
	for _, name := range h.Run.Elections {
		all := h.proclamations(name)
		campaigns := make(map[uint64]string) // by term: the first value
		for _, t := range h.Tries {
			if t.Name == name && t.granted() {
				campaigns[t.Token] = t.Led.Value
			}
		}
		for _, u := range h.usesOf(name, func(u Use) bool { return u.Kind == leader || u.Kind == observe }) {
			if !u.acknowledged() || u.None {
				continue
			}
			count++
			text := ""
			p, known := all[u.Value]
			switch {
			case !known:
				text = "which was never proclaimed"
			case u.Done < p.Begun:
				text = fmt.Sprintf("which was proclaimed later, at %.3fs", p.Begun.Seconds())
			case p.try >= 0 && h.Tries[p.try].Led.Refused:
				text = "of a candidate that never was elected"
			case p.try < 0 && u.Term != p.Term, p.try >= 0 && p.Term > 0 && u.Term > p.Term:
				text = fmt.Sprintf("which was proclaimed in term %d", p.Term)
			case p.try >= 0 && campaigns[u.Term] != "" && campaigns[u.Term] != u.Value:
				text = fmt.Sprintf("and that term is the one of %q", campaigns[u.Term])
			default:
				continue
			}
			v.Marks = append(v.Marks, Mark{Name: name, Begin: u.Begun, End: u.Done, Text: fmt.Sprintf("%s of client %d shows %q in term %d, %s", u.Kind, u.Client+1, u.Value, u.Term, text)})
		}
	}
	v.Detail = fmt.Sprintf("shown %d times, %d times one that was not", count, len(v.Marks))
	return v
}
