package redlock

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/lease"
)

// batches is at how many instants of a TTL a Locker renews locks of that TTL.
const batches = 64

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
		type wait struct {
			ttl    time.Duration
			first  bool
			waited time.Duration
		}
		waits := make(map[wait]bool)
		for _, k := range held {
			third, slot := k.settings.ttl/3, k.settings.ttl/batches
			earliest := third/2 - slot
			for i, at := range sent[k.name][1:] {
				if mono := now.Mono - now.Wall.Sub(at); mono%slot != 0 {
					t.Errorf("lock %s: a renewal is %v past the moment", k.name, mono%slot)
					return
				}
				waited := at.Sub(sent[k.name][i])
				waits[wait{k.settings.ttl, i == 0, waited}] = true
				if waited < earliest || waited > third {
					t.Errorf("lock %s: renewal %d after %v, want %v to %v", k.name, i, waited, earliest, third)
					return
				}
				earliest = third - third/10 - slot
			}
			if n := len(sent[k.name]); n < int(time.Minute/third) {
				t.Errorf("lock %s: %d commands in a minute", k.name, n)
			}
		}
		different := make(map[wait]int)
		for w := range waits {
			w.waited = 0
			different[w]++
		}
		for _, ttl := range ttls {
			// Half a third of a TTL are eleven moments, a tenth of it three.
			if first, later := different[wait{ttl, true, 0}], different[wait{ttl, false, 0}]; first < 4 || later < 3 {
				t.Errorf("TTL %v: %d different waits for the first renewal, %d for others", ttl, first, later)
			}
		}
		for _, k := range held {
			f.unlock(k)
		}
	})
}

func TestRenewalsOfManyLocksComeInCompany(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		const locks = 500
		var held []*Lock
		for i := range locks {
			held = append(held, f.lock(fmt.Sprint(i), WithKeepAlive()))
			time.Sleep(7 * time.Millisecond)
		}
		begin := time.Now()
		time.Sleep(8 * time.Second) // a TTL
		moments := make(map[time.Time]int)
		for _, c := range f.nodes[0].Log() {
			if c.Does == "extend" && c.At.After(begin) {
				moments[c.At]++
			}
		}
		total, most := 0, 0
		for _, n := range moments {
			total, most = total+n, max(most, n)
		}
		if len(moments) > batches || total < 3*locks {
			t.Errorf("%d renewals at %d moments", total, len(moments))
		}
		if most > locks/4 {
			t.Errorf("%d of %d locks were renewed at one moment", most, locks)
		}
		for _, k := range held {
			f.unlock(k)
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
		const locks, ttl = 500, 8 * time.Second // the default
		tries = make(map[string][]time.Time)
		held := f.together(locks)
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

// A clockLog notes when the clock is read.
type clockLog struct {
	clock.Clock
	mu    sync.Mutex
	reads map[time.Time]bool
}

func (c *clockLog) Read() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads[time.Now()] = true
	return c.Clock.Read()
}

func TestTheDeadlineOfALockIsPutOffWithEveryRenewal(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		log := &clockLog{Clock: f.clock, reads: make(map[time.Time]bool)}
		f.Locker.clock, f.keeper = log, lease.NewKeeper(log)
		k := f.lock("job", WithKeepAlive())
		validity := k.lease.Remaining(f.clock.Read())
		time.Sleep(time.Minute)
		f.unlock(k)
		log.mu.Lock()
		defer log.mu.Unlock()
		for _, c := range f.nodes[0].Log() {
			if deadline := c.At.Add(validity); log.reads[deadline] {
				t.Errorf("the timer came round %v after %q", validity, c.Does)
			}
		}
	})
}
