package node

import (
	"errors"
	"time"
)

// A wait ends after a while of refusals: so long, and so many.
const (
	minRefusing = 2 * time.Second
	minRefusals = 3
	// apart is as much as the time between two refusals counts: nobody asked meanwhile.
	maxGap = time.Second
)

// A Streak is what one node has refused to those who wait for one lock, one time after
// the other. Credentials are rotated and rights are changed while services run, and for a
// moment a node refuses who is allowed to. Those who wait in line outlast that, but not
// what stays so: then there is an error to read.
//
// It is pure: answers say when they came.
type Streak struct {
	times     int           // refusals in a row
	last      time.Time     // the last of them
	lasted    time.Duration // how long they went on
	permanent bool          // the last of them needs no others
}

// Note takes in an answer, one after the other. What is no answer, since the node was
// silent, neither adds to a streak nor ends it.
func (s *Streak) Note(a Answer) {
	if a.Err == nil {
		*s = Streak{}
		return
	}
	c := causeOf(a.Err)
	switch {
	case c.silent:
		return
	case c.end == passes:
		*s = Streak{}
		return
	}
	if s.times > 0 {
		s.lasted += min(max(a.At.Sub(s.last), 0), maxGap)
	}
	s.times++
	s.last = a.At
	// Of a node that is busy Before is not known; what it said before was noted then.
	s.permanent = c.end == permanent || c.end == untilFixed && !a.WellBefore && !errors.Is(a.Err, ErrBusy)
}

// Permanent reports whether waiting is in vain until somebody mends the node, or what
// its client was told.
func (s Streak) Permanent() bool {
	return s.permanent || s.times >= minRefusals && s.lasted >= minRefusing
}
