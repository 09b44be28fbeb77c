package lease

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// waiting counts what waits for a renewal, and the goroutines that renew.
func (f *fixture) waiting() (batches, leases, running int) {
	r := &f.renewals
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range slices.AppendSeq(slices.Clone(r.due), maps.Values(r.batches)) {
		batches, leases = batches+1, leases+len(b.leases)
	}
	return batches, leases, r.running
}

// awaitDue waits until renewals are under way.
func (f *fixture) awaitDue() {
	for running := 0; running == 0; _, _, running = f.waiting() {
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
}

// together has all leases renewed at the next full second.
func (f *fixture) together(all ...*testLock) {
	now := f.clock.Read()
	for _, k := range all {
		f.renewals.remove(&k.Lease)
		k.Lease.mu.Lock()
		k.renewWithin(time.Second, time.Second, now)
		k.Lease.mu.Unlock()
	}
}

func total(all []*testLock) (extensions int) {
	for _, k := range all {
		extensions += k.extensions()
	}
	return extensions
}

func TestLeasesOfOneBatchShareATimer(t *testing.T) {
	inBubble(t, func(f *fixture) {
		const leases = 500
		all := f.holdMany(leases)
		for range 20 {
			time.Sleep(time.Second)
			synctest.Wait()
			if batches, waiting, _ := f.waiting(); waiting != leases || batches > maxBatches/3+1 {
				t.Errorf("%d leases wait for %d batches", waiting, batches)
			}
		}
		if total(all) < 6*leases {
			t.Errorf("%d extensions", total(all))
		}
	})
}

func TestNoRenewalIsLeftOfLeasesThatEnded(t *testing.T) {
	for how, end := range map[string]func(*fixture, []*testLock){
		"released": func(f *fixture, all []*testLock) {
			for _, k := range all {
				f.release(k)
			}
		},
		"lost": func(f *fixture, all []*testLock) {
			for _, k := range all {
				k.End(ErrLost, false)
			}
		},
		"expired": func(f *fixture, all []*testLock) {
			for _, k := range all {
				k.refuse()
			}
			time.Sleep(10 * time.Second)
		},
		"closed": func(f *fixture, all []*testLock) { f.Close() },
	} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(f *fixture) {
				all := f.holdMany(500)
				time.Sleep(11 * time.Second)
				synctest.Wait()
				timers := make(map[*batch]*time.Timer)
				f.renewals.mu.Lock()
				for _, b := range f.renewals.batches {
					timers[b] = b.timer
				}
				f.renewals.mu.Unlock()
				end(f, all)
				synctest.Wait()
				if batches, leases, running := f.waiting(); batches+leases+running > 0 || f.Held() > 0 {
					t.Errorf("left: %d batches, %d leases, %d goroutines; %d held", batches, leases, running, f.Held())
				}
				for b, timer := range timers {
					if timer.Stop() {
						t.Errorf("a timer is left")
					}
					for _, l := range b.leases[:cap(b.leases)] {
						if l != nil {
							t.Errorf("batch %v still has a lease", b.at)
						}
					}
				}
			})
		})
	}
}

func TestRenewalsAreDoneInTheOrderInWhichTheyAreDue(t *testing.T) {
	inBubble(t, func(f *fixture) {
		var order []string
		hold := func(n int, name string) (all []*testLock) {
			for i := range n {
				k := f.hold(fmt.Sprint(name, i))
				k.answering = 300 * time.Millisecond // 1.8 s for the first
				all = append(all, k)
			}
			return all
		}
		first, second := hold(6*maxRenewing, "first "), hold(maxRenewing, "second ")
		f.together(first...)
		f.awaitDue()
		f.together(second...) // in a second
		time.Sleep(2200 * time.Millisecond)
		all := append(first, second...)
		slices.SortStableFunc(all, func(a, b *testLock) int {
			if a.extensions() == 0 || b.extensions() == 0 {
				t.Fatalf("leases %q and %q: %d and %d extensions", a.name, b.name, a.extensions(), b.extensions())
			}
			return a.sent[0].Compare(b.sent[0])
		})
		for _, k := range all {
			order = append(order, k.name)
		}
		for i, name := range order {
			if i < 6*maxRenewing != strings.HasPrefix(name, "first") {
				t.Fatalf("renewal %d was that of lease %q", i, name)
			}
		}
	})
}

func TestLeaseThatEndsWhileItsRenewalIsDueIsNotRenewed(t *testing.T) {
	inBubble(t, func(f *fixture) {
		all := f.holdMany(3 * maxRenewing)
		for _, k := range all {
			k.answering = 100 * time.Millisecond
		}
		f.together(all...)
		f.awaitDue()
		if _, leases, running := f.waiting(); leases != 2*maxRenewing || running != maxRenewing {
			t.Errorf("%d renewals are under way and %d due, want %d and %d", running, leases, maxRenewing, 2*maxRenewing)
		}
		for _, k := range all {
			f.release(k)
		}
		if _, leases, _ := f.waiting(); leases > 0 {
			t.Errorf("%d leases that have ended are still to be renewed", leases)
		}
		time.Sleep(time.Minute)
		if n := total(all); n != maxRenewing {
			t.Errorf("%d renewals, want the %d that were under way", n, maxRenewing)
		}
		if batches, _, running := f.waiting(); batches+running > 0 {
			t.Errorf("left: %d batches, %d goroutines", batches, running)
		}
	})
}

// Two batches may have the same time: the timer of one has just come round, or its leases
// are due, when the next one is made.
func TestBatchThatIsOverLeavesTheNextOneAlone(t *testing.T) {
	inBubble(t, func(f *fixture) {
		r := &f.renewals
		awaited := func(k *testLock) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.batches[k.slot.batch.at] == k.slot.batch
		}
		ended, due, next := f.hold("ended"), f.hold("due"), f.hold("next")
		f.together(ended)
		empty := ended.slot.batch
		f.release(ended)
		f.together(due)
		r.begin(empty)
		if due.slot.batch.at != empty.at || !awaited(due) {
			t.Error("a batch without leases took the place of the next one")
		}

		r.remove(&next.Lease)
		r.mu.Lock()
		r.running = maxRenewing // so it will be due for a while
		r.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		next.Lease.mu.Lock()
		r.add(&next.Lease, due.slot.batch.at, time.Second)
		next.Lease.mu.Unlock()
		f.release(due)
		if !awaited(next) {
			t.Error("a batch that was due took the place of the next one")
		}
		r.mu.Lock()
		r.running = 0
		r.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		if due.extensions() != 0 || next.extensions() != 1 {
			t.Errorf("%d and %d renewals, want the one of the lease that is held", due.extensions(), next.extensions())
		}
	})
}

func TestNothingIsRenewedOnceCloseHasBegun(t *testing.T) {
	inBubble(t, func(f *fixture) {
		k := f.hold("job")
		f.together(k)
		f.renewals.close() // the rest of Close comes later
		time.Sleep(time.Second)
		synctest.Wait()
		if _, _, running := f.waiting(); running > 0 || k.extensions() > 0 {
			t.Errorf("%d goroutines, %d renewals", running, k.extensions())
		}
		f.release(k)
	})
	inBubble(t, func(f *fixture) { // what was due is not, either
		all := f.holdMany(3 * maxRenewing)
		for _, k := range all {
			k.answering = 100 * time.Millisecond
		}
		f.together(all...)
		f.awaitDue()
		<-f.renewals.close()
		time.Sleep(time.Second)
		if n := total(all); n != maxRenewing {
			t.Errorf("%d renewals, want the %d that were under way", n, maxRenewing)
		}
	})
}

func TestCloseSaysWhenTheRenewalsUnderWayHaveEnded(t *testing.T) {
	inBubble(t, func(f *fixture) {
		all := f.holdMany(2 * maxRenewing)
		for _, k := range all {
			k.answering = 100 * time.Millisecond
		}
		f.together(all...)
		f.awaitDue()
		began := time.Now()
		_, renewed := f.Close()
		_, again := f.Close()
		<-renewed
		<-again
		if took := time.Since(began); took < 99*time.Millisecond || took > 100*time.Millisecond {
			t.Errorf("ended after %v", took)
		}
		if _, _, running := f.waiting(); running > 0 || total(all) != maxRenewing {
			t.Errorf("%d goroutines still renew; %d renewals", running, total(all))
		}
	})
}

func TestLeaseAtItsMaxHoldWaitsForNoMoreRenewals(t *testing.T) {
	inBubble(t, func(f *fixture) {
		bounded := terms
		bounded.MaxHold = 30 * time.Second
		k := f.holdOn(bounded, "job", true)
		time.Sleep(29 * time.Second)
		if batches, leases, _ := f.waiting(); batches+leases > 0 || k.Context().Err() != nil {
			t.Errorf("%d batches, %d leases; %v", batches, leases, context.Cause(k.Context()))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if want := "lock expired: it was held for as long as WithMaxHold(30s) allows"; k.Cause() == nil || k.Cause().Error() != want {
			t.Errorf("after 30 s: %v", k.Cause())
		}
	})
}

func TestLaterFailedRenewalsAreReportedAsRepeats(t *testing.T) {
	inBubble(t, func(f *fixture) {
		k := f.hold("job")
		k.refuse()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		for i, event := range k.noted() {
			if want := fmt.Sprintf("renewal failed: no quorum, again %v", i > 0); event != want {
				t.Errorf("event %d is %q, want %q", i, event, want)
			}
		}
		if len(k.noted()) < 3 {
			t.Errorf("events %q", k.noted())
		}
	})
}
