package main

import (
	"fmt"
	"slices"
	"time"
)

// What observers are told in time. Faults may keep it from them: the claims are about times in
// which none does.

// noneInTime is E6.
func noneInTime(h *History) Verdict {
	v := Verdict{Claim: "E6", State: holds}
	v.Says = fmt.Sprintf("Observers are told within %v that a leader which was killed leads no more, counted from when neither that message nor theirs was held up", noneBound(h.Run.TTL))
	e := h.endsTold()
	v.Marks = e.late
	v.Detail = fmt.Sprintf("%d leaders killed, %d times an observer was in a position to be told, %d times within %v, and was after %v at most; %d times that nobody leads, before the next leader",
		e.deaths, e.count, e.prompt, h.Run.TTL+wakeUp, e.slowest.Round(time.Millisecond), e.nones)
	return v
}

// ends says how observers were told of the ends of leaders that were killed.
type ends struct {
	deaths  int
	count   int // times that an observer was in a position to be told
	inTime  int // and was
	prompt  int // within the TTL and one wake-up
	nones   int // that nobody leads, before the next leader
	slowest time.Duration
	late    []Mark // where it was not in time
}

func (h *History) endsTold() (e ends) {
	within := noneBound(h.Run.TTL)
	for i, t := range h.Tries {
		if !t.diedLeading() {
			continue
		}
		e.deaths++
		for _, o := range h.observersOf(t) {
			deadline, ok := h.undisturbed(t.Killed, within, h.Run.Clients[t.Client].Process, h.Run.Clients[o.client].Process)
			if !ok || deadline > h.lifetime(h.Run.Clients[o.client].Process, o.life) {
				continue
			}
			e.count++
			at, none, was := h.toldOfEnd(t, o)
			if !was || at > deadline {
				e.late = append(e.late, Mark{t.Name, []int{i}, t.Killed, deadline, fmt.Sprintf("process %d was not told by %.3fs that %s, killed at %.3fs, leads no more",
					h.Run.Clients[o.client].Process+1, deadline.Seconds(), h.clientOf(t), t.Killed.Seconds())})
				continue
			}
			e.inTime++
			if at-(deadline-within) <= h.Run.TTL+wakeUp {
				e.prompt++
			}
			if none {
				e.nones++
			}
			e.slowest = max(e.slowest, at-t.Killed)
		}
	}
	return e
}

// diedLeading reports whether a leader was killed, and not when it had resigned.
func (t Try) diedLeading() bool {
	return t.Led != nil && t.diedHolding()
}

// heardInTime is E7.
func heardInTime(h *History) Verdict {
	v := Verdict{Claim: "E7", State: holds}
	v.Says = fmt.Sprintf("Observers are told of each leader that leads for %v in which they and it are not held up", noneBound(0))
	count, missed := h.leadersTold()
	v.Marks = missed
	v.Detail = fmt.Sprintf("%d times an observer was in a position to be told, %d times it was not", count, len(missed))
	return v
}

// leadersTold counts the times that an observer was in a position to be told of a leader, and marks
// those at which it was not.
func (h *History) leadersTold() (count int, missed []Mark) {
	within := noneBound(0)
	for i, t := range h.Tries {
		if t.Led == nil || !t.granted() || t.End < t.Return+within {
			continue
		}
		told := make(map[teller]bool)
		for _, u := range h.usesOf(t.Name, func(u Use) bool { return u.Kind == observe && u.Done <= t.End }) {
			o := teller{u.Client, u.Life}
			told[o] = told[o] || u.acknowledged() && u.Term == t.Token
		}
		for o, was := range told {
			observer := h.Run.Clients[o.client].Process
			deadline, ok := h.undisturbed(t.Return, within, h.Run.Clients[t.Client].Process, observer)
			if !ok || deadline > min(t.End, h.lifetime(observer, o.life)) {
				continue
			}
			if count++; !was {
				missed = append(missed, Mark{t.Name, []int{i}, t.Return, deadline, fmt.Sprintf("process %d was not told of %s, term %d", observer+1, h.clientOf(t), t.Token)})
			}
		}
	}
	return count, missed
}

// noneBound is the TTL, one wake-up of an observer, and what a busy machine may take.
func noneBound(ttl time.Duration) time.Duration { return ttl + wakeUp + 4*time.Second }

// wakeUp is within which an observer asks again though it was not notified.
const wakeUp = time.Second

// observersOf are the observers in other processes that knew a leader when it was killed.
func (h *History) observersOf(t Try) (all []teller) {
	last := make(map[teller]Use)
	for _, u := range h.usesOf(t.Name, func(u Use) bool { return u.Kind == observe && u.Done <= t.Killed }) {
		last[teller{u.Client, u.Life}] = u
	}
	for o, u := range last {
		if process := h.Run.Clients[o.client].Process; u.Term == t.Token && u.acknowledged() && process != h.Run.Clients[t.Client].Process && h.lifetime(process, o.life) > t.Killed {
			all = append(all, o)
		}
	}
	return all
}

// toldOfEnd is when an observer was told that nobody leads, or of a later leader.
func (h *History) toldOfEnd(t Try, o teller) (at time.Duration, none, was bool) {
	for _, u := range h.usesOf(t.Name, func(u Use) bool {
		return u.Kind == observe && u.Client == o.client && u.Life == o.life && u.Done > t.Killed && u.acknowledged()
	}) {
		if u.None || u.Term > t.Token {
			return u.Done, u.None, true
		}
	}
	return 0, false, false
}

// undisturbed is the end of the first stretch of that length, from begin on, in which faults
// touch a minority of the nodes only, as the process that died and that of the observer see
// them, and do not touch that observer. What the dead one had sent may arrive as long as its
// links hold it.
func (h *History) undisturbed(begin, length time.Duration, dead, observer int) (end time.Duration, ok bool) {
	starts := []time.Duration{begin}
	for _, f := range h.Faults {
		if f.End > begin {
			starts = append(starts, f.End)
		}
	}
	for _, start := range starts {
		if at := start + length; (!ok || at < end) && at <= h.Calm.Begun && h.quietBetween(start, at, dead, observer) {
			end, ok = at, true
		}
	}
	return end, ok
}

func (h *History) quietBetween(start, end time.Duration, dead, observer int) bool {
	touched := make(map[int]bool)
	for _, f := range h.Faults {
		switch {
		case f.End <= start || f.Begin >= end || !f.Fired && f.Err == "":
		case f.Kind.ofWorker():
			if f.Process == observer {
				return false
			}
		case f.Kind.ofServer() || f.Process == dead || f.Process == observer:
			for _, n := range f.Nodes {
				touched[n] = true
			}
		}
	}
	return len(touched) <= (h.Run.Nodes-1)/2
}

// lifetime is until when a process lived in that of its lives, or until the faults ended.
func (h *History) lifetime(process, life int) time.Duration {
	var ends []time.Duration
	for _, f := range h.Faults {
		if f.Kind == die && f.Process == process && f.Fired {
			ends = append(ends, f.Begin)
		}
	}
	slices.Sort(ends) // a leader may be killed later than it was planned
	if life < len(ends) {
		return ends[life]
	}
	return h.Calm.Begun
}
