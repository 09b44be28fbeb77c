package main

import "time"

// A clock reads the time of the run. Workers are given its origin.
type clock struct{ origin time.Duration }

func newClock() (clock, error) {
	origin, err := monotonic()
	return clock{origin}, err
}

func (c clock) now() time.Duration {
	t, err := monotonic()
	if err != nil {
		panic(err) // newClock has read it before
	}
	return t - c.origin
}

// at is when t is. What passes between the two readings, should this process be stopped
// there, makes the result earlier, never later: an interval that ends at it is not too long.
func (c clock) at(t time.Time) time.Duration {
	now := c.now()
	return now + time.Until(t)
}
