// Package clock reads the two clocks of the machine together.
//
// A lease must end on time after the machine was suspended and after the wall clock was set. The
// monotonic clock of most systems stands still during sleep (golang.org/issue/24595). So
// elapsed time is the larger of the two: a wall clock that steps forward ends a lease early,
// a wall clock that steps back changes nothing.
package clock

import "time"

// A Reading is the time of both clocks at one moment.
type Reading struct {
	Mono time.Duration // monotonic clock, since an arbitrary start
	Wall time.Time     // wall clock
}

// Since is the time that passed from earlier to r: the larger of the differences of the
// monotonic and the wall clock.
func (r Reading) Since(earlier Reading) time.Duration {
	return max(r.Mono-earlier.Mono, r.wallSince(earlier))
}

// Skew is how much further the wall clock went than the monotonic clock from earlier to r.
// It is about zero. If the machine was suspended it is the length of the suspend. If the wall clock was
// set it is the step, which may be negative.
func (r Reading) Skew(earlier Reading) time.Duration {
	return r.wallSince(earlier) - (r.Mono - earlier.Mono)
}

// wallSince compares Unix times: Sub would compare the monotonic clock's.
func (r Reading) wallSince(earlier Reading) time.Duration {
	return time.Duration(r.Wall.UnixNano() - earlier.Wall.UnixNano())
}

// Clock is a source of readings. It is safe for concurrent use.
type Clock interface {
	Read() Reading
}

// System is the clock of this machine. In a testing/synctest bubble it follows
// the clock of the bubble.
type System struct{}

// start is the origin of monotonic readings. Only differences of readings are used, so it
// does not matter when it was taken.
var start = time.Now()

// Read returns the time now.
func (System) Read() Reading {
	now := time.Now()
	return Reading{Mono: now.Sub(start), Wall: now}
}
