package node

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A call is given up at its deadline or within slack of it, never before, whatever
// comes and goes meanwhile.
func TestCallsAreGivenUpAtTheirDeadlineOrALittleLater(t *testing.T) {
	late := 0 // in all: hardly ever in none of a seed's
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			under := make(map[*Call]bool)
			var mu sync.Mutex
			var f inFlightCalls
			f.init(nil, func() {
				mu.Lock()
				defer mu.Unlock()
				now := time.Now()
				for _, c := range f.takeOverdue(now) {
					after := now.Sub(c.Deadline.at)
					if !under[c] || after < 0 || after > slack {
						t.Errorf("seed %d: a call is given up %v after its deadline, under way: %v", seed, after, under[c])
					}
					if after > 0 {
						late++
					}
					delete(under, c)
				}
			})
			for range 300 {
				mu.Lock()
				switch random.IntN(4) {
				case 0: // one is answered
					for c := range under {
						f.remove(c)
						delete(under, c)
						break
					}
				case 1:
					mu.Unlock()
					time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
					mu.Lock()
				default:
					c := &Call{Deadline: &Deadline{at: time.Now().Add(time.Duration(1+random.IntN(12000)) * time.Microsecond)}}
					under[c] = true
					f.add(c)
				}
				mu.Unlock()
			}
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			if len(under) > 0 || len(f.lists) > 0 {
				t.Errorf("seed %d: %d calls are still under way", seed, len(under))
			}
		})
	}
	if late == 0 {
		t.Error("slack was never used")
	}
}

// A call that was overtaken while its goroutine waited for a processor joins the last one.
func TestACallThatWasOvertakenALittleGoesToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f inFlightCalls
		f.init(nil, func() {})
		var last *Call
		for i := range 1000 {
			last = &Call{Deadline: &Deadline{at: time.Now().Add(time.Hour - time.Duration(i)*time.Microsecond)}}
			f.add(last)
		}
		if len(f.lists) != 1 || f.lists[0].last != last {
			t.Error("it is not the last")
		}
		f.lists = nil
		f.stopIfEmpty()
	})
}

// Two kinds of calls, whose timeouts differ, are two lists: no call is searched for.
func TestCallsWithSeveralTimeoutsAreAListEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f inFlightCalls
		f.init(nil, func() {})
		var all []*Call
		most := 0
		for range 10_000 {
			time.Sleep(10 * time.Microsecond)
			for _, timeout := range []time.Duration{time.Second, 500 * time.Millisecond, 3 * time.Second} {
				c := &Call{Deadline: &Deadline{at: time.Now().Add(timeout)}}
				f.add(c)
				all = append(all, c)
			}
			most = max(most, len(f.lists))
		}
		if most != 3 {
			t.Errorf("%d lists", most)
		}
		for _, c := range all {
			f.remove(c)
		}
		if len(f.lists) > 0 {
			t.Errorf("%d lists are left", len(f.lists))
		}
		f.stopIfEmpty()
	})
}
