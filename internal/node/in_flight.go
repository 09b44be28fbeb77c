package node

import (
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/random"
)

// inFlightCalls lists the calls in flight by deadline, with one timer for all of them. A call
// that is answered in time costs no timer, and nearly every call is: it leaves the list, and
// the timer finds nothing to do, at most once per node timeout.
//
// There are several lists, each in the order of deadlines. A call goes to the end of the first
// list where it is in order. So calls with one timeout fill one list, and no call is searched
// for. More lists are needed only for calls with shorter timeouts: one for each time that
// deadlines went back by more than slack. There are never more than the longest timeout has
// slacks, and mostly two or three.
type inFlightCalls struct {
	lists  []callList // the last one is not empty
	timer  *time.Timer
	armed  bool
	at     time.Time // when the timer fires, if armed
	graced bool      // it fires for calls that got a grace
	fire   func()
	node   fmt.Stringer // that the calls were sent to
}

// A callList is a list of calls, the first to be given up first.
type callList struct{ first, last *Call }

func (f *inFlightCalls) init(node fmt.Stringer, fire func()) { f.node, f.fire = node, fire }

// slack is how much later than its deadline a call may be given up.
//
// Deadlines nearly always grow. But a goroutine that made one may wait for a processor before
// it gets here. Without slack it would then search past all the calls that overtook it: with
// 512 callers on two cores that was a quarter of all work.
const slack = 2 * time.Millisecond

// add puts c at the end of a list. If the deadline of the last call there is later by no more
// than slack, c gets that deadline.
func (f *inFlightCalls) add(c *Call) {
	c.giveUpAt = c.Deadline.at
	for c.list = 0; ; c.list++ {
		if int(c.list) == len(f.lists) {
			f.lists = append(f.lists, callList{})
		}
		last := f.lists[c.list].last
		if last == nil {
			break
		}
		if ahead := last.giveUpAt.Sub(c.giveUpAt); ahead <= slack {
			if ahead > 0 {
				c.giveUpAt = last.giveUpAt
			}
			break
		}
	}
	l := &f.lists[c.list]
	if c.prev = l.last; c.prev == nil {
		l.first = c
	} else {
		c.prev.next = c
	}
	l.last = c
	if !f.armed || c.giveUpAt.Before(f.at) {
		f.arm(c.giveUpAt)
	}
}

func (f *inFlightCalls) remove(c *Call) {
	l := &f.lists[c.list]
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	for n := len(f.lists); n > 0 && f.lists[n-1].first == nil; n = len(f.lists) {
		f.lists = f.lists[:n-1]
	}
}

// next returns the call that is to be given up first, nil if there is none.
func (f *inFlightCalls) next() (next *Call) {
	for _, l := range f.lists {
		if l.first != nil && (next == nil || l.first.giveUpAt.Before(next.giveUpAt)) {
			next = l.first
		}
	}
	return next
}

// takeOverdue removes and returns the calls that are to be given up now, and sets the timer for
// the next one. It is called when the timer has fired.
func (f *inFlightCalls) takeOverdue(now time.Time) (overdue []*Call) {
	f.armed = false
	for i := 0; i < len(f.lists); i++ { // remove shortens f.lists
		for i < len(f.lists) && f.lists[i].first != nil && !f.lists[i].first.giveUpAt.After(now) {
			c := f.lists[i].first
			f.remove(c)
			overdue = append(overdue, c)
		}
	}
	if next := f.next(); next != nil {
		f.arm(next.giveUpAt)
	}
	return overdue
}

// grace is how much longer calls are kept if the timer fired late by as much.
const grace = 5 * time.Millisecond

// firedLate reports whether the timer fired so late that calls get a grace: the process had no
// processor, and neither had the goroutine that reads the answers, which may lie in the socket.
// Then the timer is set once more. It is called when the timer has fired.
func (f *inFlightCalls) firedLate(now time.Time) bool {
	next := f.next()
	if f.graced = !f.graced && next != nil && now.Sub(next.giveUpAt) >= grace; f.graced {
		f.arm(now.Add(grace))
	}
	return f.graced
}

func (f *inFlightCalls) arm(at time.Time) {
	f.armed, f.at = true, at
	in := max(time.Until(at), 1) + random.Apart(f.node, "flights") // not 0 or less, see setTimer in package fanout
	if f.timer == nil {
		f.timer = time.AfterFunc(in, f.fire)
	} else {
		f.timer.Reset(in)
	}
}

// stopIfEmpty stops a timer that has nothing left to do.
func (f *inFlightCalls) stopIfEmpty() {
	if len(f.lists) == 0 && f.timer != nil {
		f.timer.Stop()
		f.armed = false
	}
}
