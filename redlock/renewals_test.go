package redlock

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
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

func TestRenewalsComeWhenTheyAreDueWhateverTheTTL(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		ttls := []time.Duration{500 * time.Millisecond, 8 * time.Second, 20 * time.Second}
		var held []*Lock
		for _, ttl := range ttls {
			for i := range 20 {
				held = append(held, f.lock(fmt.Sprintf("%v %d", ttl, i), WithTTL(ttl), WithKeepAlive()))
			}
		}
		time.Sleep(time.Minute)
		now := f.clock.Read()
		sent := make(map[string][]time.Time)
		for _, c := range f.nodes[0].Log() {
			sent[c.Key] = append(sent[c.Key], c.At)
		}
		for _, k := range held {
			third, slot := k.settings.ttl/3, k.settings.ttl/maxMoments
			earliest := third/2 - slot
			for i, at := range sent[k.name][1:] {
				if mono := now.Mono - now.Wall.Sub(at); mono%slot != 0 {
					t.Errorf("lock %s: a renewal is %v past the moment", k.name, mono%slot)
					return
				}
				if waited := at.Sub(sent[k.name][i]); waited < earliest || waited > third {
					t.Errorf("lock %s: renewal %d after %v, want %v to %v", k.name, i, waited, earliest, third)
					return
				}
				earliest = third - third/10 - slot
			}
			if n := len(sent[k.name]); n < int(time.Minute/third) {
				t.Errorf("lock %s: %d commands in a minute", k.name, n)
			}
		}
		for _, k := range held {
			f.unlock(k)
		}
	})
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
		for {
			if _, locks, _ := f.waiting(); locks < len(held) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
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

func TestRenewalsThatFailedComeBackSoonAndNotTogether(t *testing.T) {
	var (
		mu    sync.Mutex
		tries map[string][]time.Time
	)
	trace := &Trace{Round: func(r RoundInfo) {
		if r.Op == "extend" && r.Err != nil {
			mu.Lock()
			defer mu.Unlock()
			tries[r.Name] = append(tries[r.Name], time.Now())
		}
	}}
	inBubble(t, 3, func(f *fixture) {
		const locks, ttl = 500, 8 * time.Second
		tries = make(map[string][]time.Time)
		var held []*Lock
		for i := range locks {
			held = append(held, f.lock(fmt.Sprint(i), WithTTL(ttl), WithKeepAlive()))
		}
		f.together(held)
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Refuse: true}) // at once
		}
		time.Sleep(ttl)
		first, second := make(map[time.Time]int), make(map[time.Time]int)
		mu.Lock()
		defer mu.Unlock()
		for name, at := range tries {
			if len(at) < 5 {
				t.Errorf("lock %s: %d tries", name, len(at))
				return
			}
			first[at[0]]++
			second[at[1]]++
			for i := range at[1:] {
				if pause := at[i+1].Sub(at[i]); pause <= ttl/16 || pause >= ttl/16+ttl/32 {
					t.Errorf("lock %s: tried again after %v, want %v and up to half as much", name, pause, ttl/16)
					return
				}
			}
		}
		if len(tries) != locks || len(first) != 1 {
			t.Errorf("%d renewals failed at %d moments, want all %d at one", len(tries), len(first), locks)
		}
		for _, n := range second {
			if n > locks/4 {
				t.Errorf("%d of %d came back together", n, locks)
			}
		}
		if len(second) < 8 || len(second) > 17 {
			t.Errorf("they came back at %d moments", len(second))
		}
		for _, k := range held {
			k.Unlock(context.Background())
		}
	}, WithTrace(trace))
}
