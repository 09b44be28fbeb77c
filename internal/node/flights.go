package node

import (
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/random"
)

// flights lists the calls under way by deadline, with one timer for all of
// them. A call that is answered in time, nearly every one, costs no timer: it
// leaves the list, and the timer finds nothing to do, at most once per node
// timeout.
type flights struct {
	first, last *Call // the first to be given up first
	timer       *time.Timer
	armed       bool
	at          time.Time // when the timer fires, if armed
	graced      bool      // it fires for calls that were given a grace
	fire        func()
	node        fmt.Stringer // that they fly to
}

func (f *flights) init(node fmt.Stringer, fire func()) { f.node, f.fire = node, fire }

// slack is how much later than its deadline a call may be given up.
//
// Deadlines nearly always grow, but a goroutine that made one may wait for a processor
// before it gets here. Without slack it would then walk past all the calls that
// overtook it: with 512 callers on two cores that was a quarter of all that they did.
const slack = 2 * time.Millisecond

// add inserts c by its deadline, or with the last if that is not later by more than
// slack. It looks from the end.
func (f *flights) add(c *Call) {
	c.over = c.Deadline.at
	after := f.last
	if after != nil && after.over.After(c.over) {
		if after.over.Sub(c.over) <= slack {
			c.over = after.over
		} else {
			for after != nil && after.over.After(c.over) {
				after = after.prev
			}
		}
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
	if !f.armed || c.over.Before(f.at) {
		f.arm(c.over)
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

// due removes and returns the calls that are to be given up now, and sets the timer
// for the next one. It is called when the timer has fired.
func (f *flights) due(now time.Time) (overdue []*Call) {
	f.armed = false
	for c := f.first; c != nil && !c.over.After(now); c = f.first {
		f.remove(c)
		overdue = append(overdue, c)
	}
	if f.first != nil {
		f.arm(f.first.over)
	}
	return overdue
}

// grace is how long calls are kept whose timer came later than their deadline by as much.
const grace = 5 * time.Millisecond

// late reports whether the timer came so late that calls get a grace: the process had no
// processor, and neither had who reads the answers, which may lie in the socket. Then it
// is set once more. It is called when the timer has fired.
func (f *flights) late(now time.Time) bool {
	if f.graced = !f.graced && f.first != nil && now.Sub(f.first.over) >= grace; f.graced {
		f.arm(now.Add(grace))
	}
	return f.graced
}

func (f *flights) arm(at time.Time) {
	f.armed, f.at = true, at
	in := max(time.Until(at), 1) + random.Apart(f.node, "flights") // not 0 or less, see fanout's debts.arm
	if f.timer == nil {
		f.timer = time.AfterFunc(in, f.fire)
	} else {
		f.timer.Reset(in)
	}
}

// stopIfEmpty lets go of a timer that has nothing left to do.
func (f *flights) stopIfEmpty() {
	if f.first == nil && f.timer != nil {
		f.timer.Stop()
		f.armed = false
	}
}
