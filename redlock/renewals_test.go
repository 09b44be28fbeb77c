package redlock

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// waiting counts what waits for a renewal.
func (l *Locker) waiting() (moments, locks, running int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range slices.AppendSeq(slices.Clone(l.renewals.due), maps.Values(l.renewals.moments)) {
		moments, locks = moments+1, locks+len(m.locks)
	}
	return moments, locks, l.renewals.running
}

func TestLocksOfOneMomentShareATimer(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		const locks = 500
		var held []*Lock
		for i := range locks {
			held = append(held, f.lock(fmt.Sprint(i), WithKeepAlive()))
		}
		for range 20 {
			time.Sleep(time.Second)
			synctest.Wait()
			if moments, waiting, _ := f.waiting(); waiting != locks || moments > maxMoments/3+1 {
				t.Errorf("%d locks wait for %d moments", waiting, moments)
			}
		}
		for _, k := range held {
			f.unlock(k)
		}
	})
}

func TestNothingIsLeftOfLocksThatEnded(t *testing.T) {
	for how, end := range map[string]func(*fixture, []*Lock){
		"unlocked": func(f *fixture, held []*Lock) {
			for _, k := range held {
				f.unlock(k)
			}
		},
		"lost": func(f *fixture, held []*Lock) {
			for _, n := range f.nodes {
				n.Lose()
			}
			time.Sleep(3 * time.Second) // all are renewed
		},
		"expired": func(f *fixture, held []*Lock) {
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{Refuse: true})
			}
			time.Sleep(8 * time.Second)
		},
		"closed": func(f *fixture, held []*Lock) { f.Close(context.Background()) },
	} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				var held []*Lock
				for i := range 500 {
					held = append(held, f.lock(fmt.Sprint(i), WithKeepAlive()))
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				timers := make(map[*moment]*time.Timer)
				f.mu.Lock()
				for _, m := range f.renewals.moments {
					timers[m] = m.timer
				}
				f.mu.Unlock()
				end(f, held)
				synctest.Wait()
				if moments, locks, running := f.waiting(); moments+locks+running > 0 {
					t.Errorf("left: %d moments, %d locks, %d goroutines", moments, locks, running)
				}
				for m, timer := range timers {
					if timer.Stop() {
						t.Errorf("a timer is left")
					}
					for _, k := range m.locks[:cap(m.locks)] {
						if k != nil {
							t.Errorf("moment %v still has lock %s", m.at, k.name)
						}
					}
				}
				for _, k := range held {
					k.Unlock(context.Background())
				}
			})
		})
	}
}

// awaitDue waits until renewals are under way.
func (f *fixture) awaitDue() {
	for running := 0; running == 0; _, _, running = f.waiting() {
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
}

// together has all locks renewed at the next full second.
func (f *fixture) together(held []*Lock) {
	now := f.clock.Read()
	for _, k := range held {
		f.mu.Lock()
		f.renewals.remove(k)
		f.mu.Unlock()
		k.mu.Lock()
		k.renewWithin(time.Second, time.Second, now)
		k.mu.Unlock()
	}
}

// Renewals that are all due at once must not wait for each other until all are
// given up.
func TestRenewalsDueAtOnceAreDoneOneAfterTheOther(t *testing.T) {
	var failed atomic.Int64
	trace := &Trace{Round: func(r RoundInfo) {
		if r.Err != nil {
			failed.Add(1)
		}
	}}
	inBubble(t, 3, func(f *fixture) {
		const locks = 2000
		failed.Store(0)
		var held []*Lock
		for i := range locks {
			held = append(held, f.lock(fmt.Sprint(i), WithKeepAlive()))
		}
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 50 * time.Millisecond}) // 128 at a time: 0.8 s for all
		}
		f.together(held)
		time.Sleep(5 * time.Second)
		for _, k := range held {
			if left := time.Until(k.Until()); k.Context().Err() != nil || left < 3*time.Second {
				t.Fatalf("lock %s: %v left, %v", k.Name(), left, context.Cause(k.Context()))
			}
		}
		for _, n := range f.nodes {
			if got := n.Count("extend"); got > 3*locks {
				t.Errorf("%v carried out %d extensions for %d locks", n, got, locks)
			}
			n.Set(fakenode.Faults{})
		}
		if n := failed.Load(); n > 0 {
			t.Errorf("%d renewals failed", n)
		}
		for _, k := range held {
			k.end(ErrReleased)
			k.claim.RollBack()
		}
	}, WithTrace(trace))
}

func TestRenewalsAreDoneInTheOrderInWhichTheyAreDue(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		var first, second []*Lock
		for i := range 6 * maxRenewing {
			first = append(first, f.lock(fmt.Sprint("first ", i), WithKeepAlive(), WithNodeTimeout(time.Second)))
		}
		for i := range maxRenewing {
			second = append(second, f.lock(fmt.Sprint("second ", i), WithKeepAlive(), WithNodeTimeout(time.Second)))
		}
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Delay: 300 * time.Millisecond}) // 1.8 s for the first
		}
		f.together(first)
		f.awaitDue()
		f.together(second) // in a second
		time.Sleep(2200 * time.Millisecond)
		n := 0
		for _, c := range f.nodes[0].Log() {
			if c.Does == "extend" {
				if n++; n <= len(first) != strings.HasPrefix(c.Key, "first") {
					t.Errorf("renewal %d was that of lock %q", n, c.Key)
					break
				}
			}
		}
		if n < len(first)+len(second) {
			t.Errorf("%d renewals", n)
		}
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		for _, k := range append(first, second...) {
			f.unlock(k)
		}
	})
}

func TestALockThatEndsWhileItsRenewalIsDueIsNotRenewed(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		var held []*Lock
		for i := range 3 * maxRenewing {
			held = append(held, f.lock(fmt.Sprint(i), WithKeepAlive(), WithNodeTimeout(500*time.Millisecond)))
		}
		f.together(held)
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Delay: 100 * time.Millisecond})
		}
		f.awaitDue()
		if _, locks, running := f.waiting(); locks != 2*maxRenewing || running != maxRenewing {
			t.Errorf("%d renewals are under way and %d due, want %d and %d", running, locks, maxRenewing, 2*maxRenewing)
		}
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		for _, k := range held {
			f.unlock(k)
		}
		if _, locks, _ := f.waiting(); locks > 0 {
			t.Errorf("%d locks that are not held are still to be renewed", locks)
		}
		time.Sleep(time.Minute)
		if n := f.nodes[0].Count("extend"); n != maxRenewing {
			t.Errorf("%d renewals, want the %d that were under way", n, maxRenewing)
		}
		if moments, _, running := f.waiting(); moments+running > 0 {
			t.Errorf("left: %d moments, %d goroutines", moments, running)
		}
	})
}

// Two moments may have the same time: the timer of one has just come round, or its locks
// are due, when the next one is made.
func TestAMomentThatIsOverLeavesTheNextOneAlone(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		awaited := func(k *Lock) bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.renewals.moments[k.moment.at] == k.moment
		}
		ended, due, next := f.lock("ended", WithKeepAlive()), f.lock("due", WithKeepAlive()), f.lock("next", WithKeepAlive())
		f.together([]*Lock{ended})
		empty := ended.moment
		f.unlock(ended)
		f.together([]*Lock{due})
		f.renewAll(empty)
		if due.moment.at != empty.at || !awaited(due) {
			t.Error("a moment without locks took the place of the next one")
		}

		f.mu.Lock()
		f.renewals.running = maxRenewing // so it will be due for a while
		f.renewals.remove(next)
		f.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		f.renewAt(next, due.moment.at, time.Second)
		f.unlock(due)
		if !awaited(next) {
			t.Error("a moment that was due took the place of the next one")
		}
		f.mu.Lock()
		f.renewals.running = 0
		f.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := f.nodes[0].Count("extend"); n != 1 {
			t.Errorf("%d renewals, want the one of the lock that is held", n)
		}
		f.unlock(next)
	})
}
