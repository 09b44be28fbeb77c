package node

import "time"

// flights lists the calls under way by deadline, with one timer for all of
// them. A call that is answered in time, nearly every one, costs no timer: it
// leaves the list, and the timer finds nothing to do, at most once per node
// timeout.
type flights struct {
	first, last *Call // earliest deadline first
	timer       *time.Timer
	armed       bool
	at          time.Time // when the timer fires, if armed
	fire        func()
}

func (f *flights) init(fire func()) { f.fire = fire }

// add inserts c by its deadline. Deadlines mostly grow, so it looks from the
// end.
func (f *flights) add(c *Call) {
	after := f.last
	for after != nil && after.Deadline.at.After(c.Deadline.at) {
		after = after.prev
	}
	c.prev = after
	if after == nil {
		c.next, f.first = f.first, c
	} else {
		c.next, after.next = after.next, c
	}
	if c.next == nil {
		f.last = c
	} else {
		c.next.prev = c
	}
	if !f.armed || c.Deadline.at.Before(f.at) {
		f.arm(c.Deadline.at)
	}
}

func (f *flights) remove(c *Call) {
	if c.prev == nil {
		f.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		f.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// due removes and returns the calls whose deadline is not after now, and sets
// the timer for the next one. It is called when the timer has fired.
func (f *flights) due(now time.Time) (overdue []*Call) {
	f.armed = false
	for c := f.first; c != nil && !c.Deadline.at.After(now); c = f.first {
		f.remove(c)
		overdue = append(overdue, c)
	}
	if f.first != nil {
		f.arm(f.first.Deadline.at)
	}
	return overdue
}

func (f *flights) arm(at time.Time) {
	f.armed, f.at = true, at
	if f.timer == nil {
		f.timer = time.AfterFunc(time.Until(at), f.fire)
	} else {
		f.timer.Reset(time.Until(at))
	}
}

// stopIfEmpty lets go of a timer that has nothing left to do.
func (f *flights) stopIfEmpty() {
	if f.first == nil && f.timer != nil {
		f.timer.Stop()
		f.armed = false
	}
}
