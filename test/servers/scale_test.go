package servers_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// Waits that starve, or that miss their turn, end as deadlines exceeded here.
func TestTwoHundredGoroutinesOnOneKeyAllGetItAndNeverTwo(t *testing.T) {
	withEach(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		locker := lib.Locker(t, all.addrs())
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		defer cancel()
		var r referee
		counter := 0 // guarded by nothing but the lock
		begun := time.Now()
		var workers sync.WaitGroup
		for i := range 200 {
			workers.Go(func() {
				lock, err := locker.Lock(ctx, "job")
				if err != nil {
					t.Errorf("goroutine %d: %v", i, err)
					return
				}
				begin := time.Now()
				counter++
				r.held(fmt.Sprint("goroutine ", i), begin, lock)
				mustUnlock(t, lock)
			})
		}
		workers.Wait()
		t.Logf("200 goroutines took %v", time.Since(begun).Round(time.Millisecond))
		if holds := r.judge(t); holds != 200 || counter != 200 {
			t.Errorf("%d holds, counted %d", holds, counter)
		}
		all.wantEmpty(t)
	})
}

// The claim is about the lock, not about a client, so one of them gets the ten
// thousand and the other fewer. (Two thousand have no goroutine each, either.)
func TestTenThousandLocksAreKeptAliveWithoutAGoroutineEach(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		locks := rounds(2000, 10_000)
		if lib.Name != viaGoRedis.Name {
			locks /= 5
		}
		keepAlive(t, lib, int(locks))
	})
}

func keepAlive(t *testing.T, lib library, locks int) {
	const ttl = 12 * time.Second // a lock is renewed 3.6 to 4 s after it was taken
	all := startServers(t, 3, redisproc.Options{})
	var lost atomic.Int64
	locker := lib.Locker(t, all.addrs(), redlock.WithTTL(ttl), redlock.WithNodeTimeout(3*time.Second),
		redlock.WithTrace(&redlock.Trace{Lost: func(string, error) { lost.Add(1) }}))
	before := runtime.NumGoroutine()
	held := make([]*redlock.Lock, locks)
	first := make([]time.Time, locks)
	begun := time.Now()
	each(locks, func(i int) {
		held[i] = mustLock(t, locker, fmt.Sprint("job", i), redlock.WithKeepAlive())
		first[i] = held[i].Until()
	})
	taken := time.Now()

	// A renewal under way has a goroutine, a lock has none: so what counts is
	// the moment with the fewest.
	least := math.MaxInt
	renewed := func() (n int) {
		for i, lock := range held {
			if lock.Until().After(first[i]) {
				n++
			}
		}
		return n
	}
	for end := taken.Add(ttl); renewed() < locks; time.Sleep(50 * time.Millisecond) {
		least = min(least, runtime.NumGoroutine()-before)
		if time.Now().After(end) {
			t.Fatalf("%d locks were renewed within one TTL", renewed())
		}
	}
	for i, lock := range held {
		if err := context.Cause(lock.Context()); err != nil {
			t.Fatalf("lock %d: %v", i, err)
		}
	}
	if n := lost.Load(); n > 0 {
		t.Errorf("%d locks were lost", n)
	}
	if least > 300 {
		t.Errorf("never fewer than %d goroutines", least)
	}
	unlocking := time.Now()
	each(locks, func(i int) { mustUnlock(t, held[i]) })
	t.Logf("%d locks taken in %v, renewed by %v, unlocked in %v; %d goroutines between renewals", locks,
		taken.Sub(begun).Round(time.Millisecond), unlocking.Sub(begun).Round(time.Millisecond), time.Since(unlocking).Round(time.Millisecond), least)
	all.wantEmpty(t)
}

// each calls do for 0..n-1, some at a time.
func each(n int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	workers.Wait()
}
