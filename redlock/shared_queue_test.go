package redlock

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// A service that makes a Locker for each request asks the nodes no more often than one
// with a single Locker: while another process holds the lock, and when it is released.
func TestALockerForEachCallerCostsTheNodesWhatOneLockerDoes(t *testing.T) {
	const callers = 300
	commands := make(map[int]int)
	for _, lockers := range []int{1, callers} {
		inBubble(t, 3, func(f *fixture) {
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{Delay: 100 * time.Microsecond})
			}
			k := f.lock("job", WithTTL(time.Hour))
			all := neighbours(f, lockers)
			var waiters sync.WaitGroup
			for i := range callers {
				waiters.Go(func() {
					k, err := all[i%lockers].Lock(context.Background(), "job")
					if err != nil {
						t.Error(err)
						return
					}
					f.unlock(k)
				})
			}
			time.Sleep(2 * time.Second)
			f.unlock(k)
			waiters.Wait()
			time.Sleep(time.Second)
			for _, n := range f.nodes {
				commands[lockers] += len(n.Log())
			}
		})
	}
	t.Logf("%d commands with one Locker, %d with %d", commands[1], commands[callers], callers)
	if 10*commands[callers] > 13*commands[1] {
		t.Errorf("%d commands with one Locker, %d with %d", commands[1], commands[callers], callers)
	}
}

func TestCallersOfSeveralLockersOnTheSameClientsAreServedInOrder(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		all := neighbours(f, 3)
		var waits []*Pending
		for i := range 9 {
			waits = append(waits, all[i%3].LockAsync(context.Background(), "job"))
		}
		f.unlock(k)
		for i, w := range waits {
			k, err := w.Wait(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, later := range waits[i+1:] {
				select {
				case <-later.Done():
					t.Fatalf("another was served before %d", i)
				default:
				}
			}
			f.unlock(k)
		}
	})
}

// A caller that waits for a lock of another Locker does not ask the nodes, so its end must be
// noticed here.
func TestALockOfAnotherLockerOnTheSameClientsIsWaitedForUntilItEnds(t *testing.T) {
	for name, end := range map[string]func(f *fixture, l *Locker, k *Lock){
		"it expires":           func(*fixture, *Locker, *Lock) {},
		"it is unlocked":       func(f *fixture, _ *Locker, k *Lock) { f.unlock(k) },
		"its Locker is closed": func(_ *fixture, l *Locker, _ *Lock) { l.Close(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				both := neighbours(f, 2)
				k, err := both[0].Lock(context.Background(), "job", WithTTL(2*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				next := both[1].LockAsync(context.Background(), "job")
				synctest.Wait()
				end(f, both[0], k)
				f.unlock(f.mustWake(next, 2*time.Second+300*time.Millisecond))
			})
		})
	}
}

func TestCloseEndsTheWaitOfItsOwnCallersOnly(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		both := neighbours(f, 2)
		first := both[0].LockAsync(context.Background(), "job")
		second := both[1].LockAsync(context.Background(), "job")
		third := both[0].LockAsync(context.Background(), "job")
		time.Sleep(time.Second)
		both[0].Close(context.Background())
		for _, p := range []*Pending{first, third} {
			_, err := p.Wait(context.Background())
			wantIs(t, err, ErrClosed)
		}
		f.unlock(k)
		f.unlock(f.mustWake(second, 250*time.Millisecond))
	})
}

func TestErrorOfAWaiterBehindAnotherLockerHasItsLabel(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		pools := newPools(f)
		one, _ := New(pools, WithOwner("one"))
		other, _ := New(pools, WithOwner("other"))
		f.others = append(f.others, one, other)
		k, err := one.Lock(context.Background(), "job")
		if err != nil {
			t.Fatal(err)
		}
		_, err = other.Lock(context.Background(), "job", WithMaxWait(time.Second))
		wantIs(t, err, ErrTaken, context.DeadlineExceeded)
		var q *QuorumError
		if !errors.As(err, &q) || len(q.Holders) != 1 || q.Holders[0].Label != "one" {
			t.Errorf("got %v", err)
		}
		f.unlock(k)
	})
}

func TestNothingIsKeptOfLockersThatAreNotUsedAnyMore(t *testing.T) {
	var kept atomic.Int64
	for range 100 {
		_, pools := fakenode.Pools(3)
		l, err := New(pools) // and not closed
		if err != nil {
			t.Fatal(err)
		}
		kept.Add(1)
		runtime.AddCleanup(l.hub, func(*atomic.Int64) { kept.Add(-1) }, &kept)
	}
	for end := time.Now().Add(20 * time.Second); kept.Load() > 0; time.Sleep(time.Millisecond) {
		if runtime.GC(); time.Now().After(end) {
			t.Fatalf("%d Lockers are left", kept.Load())
		}
	}
}

// A client may lead to its Locker, by a hook of the service that has both.
func TestNothingIsKeptOfLockersThatAreClosed(t *testing.T) {
	_, pools := fakenode.Pools(3)
	locker := func() *Locker {
		l, err := New(pools, WithNodeTimeout(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	both := [2]*Locker{locker(), locker()}
	known := func() bool {
		another := locker()
		defer another.Close(context.Background())
		return another.hub.SharedID() == both[0].hub.SharedID()
	}
	for i, l := range both {
		if !known() {
			t.Fatalf("what %d Lockers share is not known", len(both)-i)
		}
		for range 2 {
			if err := l.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	if known() {
		t.Error("what closed Lockers shared is left")
	}
}
