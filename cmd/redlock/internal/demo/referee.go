package demo

import (
	"sync"
	"time"
)

// A referee checks that two workers never hold the lock at the same time. It knows
// nothing of the lock, the nodes or the library: only the intervals in which
// workers said that they held it, on the one clock that all of them share.
//
// An interval begins when the worker learns that it has the lock. It ends when the worker begins to
// release the lock, or no longer certainly holds it. Two intervals may touch.
type referee struct {
	mu       sync.Mutex // protects the rest
	holds    []interval // in the order of their beginning
	checked  int        // holds that have ended, and were compared
	overlaps []overlap
}

type interval struct {
	worker     string
	begin, end time.Time
	over       bool // end is set
}

// An overlap is a moment with two holders.
type overlap struct {
	first, second string // second began while first held
	begin, end    time.Time
}

// begin notes that worker holds the lock from now on, and returns the number to
// end that with.
func (r *referee) begin(worker string, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holds = append(r.holds, interval{worker: worker, begin: now})
	return len(r.holds) - 1
}

// finish notes until when the lock was held, and compares the interval with all
// others that have ended. So each pair is compared once, when the later of the
// two ends, and the end of both is known. It returns
// the overlaps found.
func (r *referee) finish(hold int, end time.Time) []overlap {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.holds[hold]
	h.end, h.over = end, true
	r.checked++
	var found []overlap
	for i, other := range r.holds {
		if i == hold || !other.over || !other.begin.Before(h.end) || !h.begin.Before(other.end) {
			continue
		}
		first, second := *h, other
		if other.begin.Before(h.begin) {
			first, second = other, *h
		}
		end := first.end
		if second.end.Before(end) {
			end = second.end
		}
		found = append(found, overlap{first: first.worker, second: second.worker, begin: second.begin, end: end})
	}
	r.overlaps = append(r.overlaps, found...)
	return found
}

// verdict returns how many intervals were compared, and the overlaps.
func (r *referee) verdict() (checked int, overlaps []overlap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checked, r.overlaps
}
