package node

import (
	"errors"
	"time"
)

// A wait ends when a node has refused for so long, and so many times.
const (
	minRefusing = 2 * time.Second
	minRefusals = 3
	// maxGap is as much as the time between two refusals counts: nothing was asked in between.
	maxGap = time.Second
)

// A Streak is the refusals of one node in a row, to the waiters for one lock. Credentials are
// rotated and rights are changed while services run, and for a moment a node refuses a user
// that has the right. Waiters in the queue outlast that, but not a lasting refusal: then there
// is an error to read.
//
// It is pure: answers have their time.
type Streak struct {
	times     int           // refusals in a row
	last      time.Time     // of them
	lasted    time.Duration // how long they went on
	permanent bool          // the last of them is enough
}

// Note records an answer, one after the other. A silence of the node neither adds to a streak
// nor ends it.
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
	// With ErrBusy, WellBefore is not known; an earlier answer was noted then.
	s.permanent = c.end == permanent || c.end == untilFixed && !a.WellBefore && !errors.Is(a.Err, ErrBusy)
}

// Permanent reports whether waiting is in vain until the node, or the configuration of its
// client, is fixed.
func (s Streak) Permanent() bool {
	return s.permanent || s.times >= minRefusals && s.lasted >= minRefusing
}
