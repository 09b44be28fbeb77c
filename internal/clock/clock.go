// Package clock reads the two clocks of the machine together.
//
// A lease must end on time when the machine slept (the monotonic clock of most
// systems stands still meanwhile, golang.org/issue/24595) and when somebody
// sets the wall clock. Elapsed time is therefore the larger of the two: a wall
// clock that steps forward ends a lease early, one that steps back changes
// nothing.
package clock

import "time"

// A Reading is one look at both clocks.
type Reading struct {
	Mono time.Duration // since an arbitrary start
	Wall time.Time     // as the machine believes it
}

// Since is the time that passed from earlier to r: the larger of what the
// monotonic and what the wall clock say.
func (r Reading) Since(earlier Reading) time.Duration {
	return max(r.Mono-earlier.Mono, r.Wall.Round(0).Sub(earlier.Wall.Round(0)))
}

// Skew is how much further the wall clock went than the monotonic clock from
// earlier to r: about zero, unless the machine slept (then the length of the
// sleep) or the wall clock was set (then the step, which may be negative).
func (r Reading) Skew(earlier Reading) time.Duration {
	return r.Wall.Round(0).Sub(earlier.Wall.Round(0)) - (r.Mono - earlier.Mono)
}

// Clock is a source of readings. It is safe for concurrent use.
type Clock interface {
	Read() Reading
}

// System is the clock of this machine. In a testing/synctest bubble it follows
// the clock of the bubble.
type System struct{}

// start is what monotonic readings count from. Only differences of readings
// are ever used, so it does not matter when it was taken.
var start = time.Now()

// Read returns the time now.
func (System) Read() Reading {
	now := time.Now()
	return Reading{Mono: now.Sub(start), Wall: now}
}
