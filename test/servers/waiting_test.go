package servers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// patientDelay is a retry delay longer than any test here: a waiter that is served
// before it was woken.
var patientDelay = redlock.WithRetryDelay(time.Hour, time.Hour)

// shortTTL bounds what is to be settled in the end: after a command of unknown
// fate that takes about a TTL.
var shortTTL = redlock.WithTTL(2 * time.Second)

// mustBeWaitedFor waits until waiters have left their flag on a majority.
func (all servers) mustBeWaitedFor(t testing.TB, key string) {
	t.Helper()
	eventually(t, "a client waits", func() bool { return 2*all.carry("{"+key+"}:wait") > len(all) })
}

func TestReleaseWakesAWaiterOfAnotherProcess(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		one, other := lib.Locker(t, all.addrs()), lib.Locker(t, all.addrs())
		for range 20 {
			lock := mustLock(t, one, "job", shortTTL, redlock.WithKeepAlive())
			next := other.LockAsync(t.Context(), "job", shortTTL, patientDelay)
			all.mustBeWaitedFor(t, "job")
			mustUnlock(t, lock)
			lock, err := next.Wait(within20(t))
			if err != nil {
				t.Fatal(err)
			}
			mustUnlock(t, lock)
		}
	})
}

// within20 is a context that ends a test that hangs.
func within20(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAWaiterIsWokenThoughOneOfThreeIsFrozenOrDead(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		for name, fail := range map[string]func(*testing.T, *redisproc.Server){
			"frozen": func(t *testing.T, s *redisproc.Server) { servers{s}.freeze(t) },
			"dead":   func(t *testing.T, s *redisproc.Server) { s.Kill() },
		} {
			t.Run(name, func(t *testing.T) {
				all := startServers(t, 3, redisproc.Options{})
				one, other := lib.Locker(t, all.addrs()), lib.Locker(t, all.addrs())
				fail(t, all[2])
				lock := mustLock(t, one, "job", shortTTL, redlock.WithKeepAlive())
				next := other.LockAsync(t.Context(), "job", shortTTL, patientDelay)
				all[:2].mustBeWaitedFor(t, "job")
				mustUnlock(t, lock)
				lock, err := next.Wait(within20(t))
				if err != nil {
					t.Fatal(err)
				}
				mustUnlock(t, lock)
				if name == "frozen" {
					all[2:].thaw(t) // the Lockers have something to settle there
				}
			})
		}
	})
}

// The subscribed connections break with the servers, and are opened again.
func TestAWaiterIsWokenAfterTheServersWereRestarted(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
		one, other := lib.Locker(t, all.addrs()), lib.Locker(t, all.addrs())
		lock := mustLock(t, one, "job", shortTTL, redlock.WithKeepAlive())
		next := other.LockAsync(t.Context(), "job", shortTTL)
		all.mustBeWaitedFor(t, "job")
		for _, s := range all {
			s.Kill()
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the waiter is subscribed again", func() bool { return all.subscribed(t, "job") == 3 })
		all.mustBeWaitedFor(t, "job")
		// A connection that the restart broke may cost a question.
		eventually(t, "the lock is released", func() bool { return lock.Unlock(t.Context()) == nil })
		lock, err := next.Wait(within20(t))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the lock is released", func() bool { return lock.Unlock(t.Context()) == nil })
	})
}

// subscribed is how many servers have a subscription for releases of a lock, of fair waiters
// or others.
func (all servers) subscribed(t testing.TB, name string) (n int) {
	t.Helper()
	for _, s := range all {
		reply, err := s.Do("PUBSUB", "CHANNELS", "{"+name+"}:wake*")
		if channels, _ := reply.([]any); err == nil && len(channels) > 0 {
			n++
		}
	}
	return n
}

func TestNoSubscriptionIsLeftAfterTheLastWait(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		one, other := lib.Locker(t, all.addrs()), lib.Locker(t, all.addrs())
		lock := mustLock(t, one, "job")
		for _, opts := range [][]redlock.LockOption{nil, {redlock.WithFair()}} {
			next := other.LockAsync(t.Context(), "job", opts...)
			eventually(t, "the waiter is subscribed", func() bool { return all.subscribed(t, "job") == 3 })
			next.Cancel()
			eventually(t, "no subscription is left", func() bool { return all.subscribed(t, "job") == 0 })
		}
		mustUnlock(t, lock)
	})
}

// A user that may only lock leaves no waiter flags and does not subscribe. Waiting costs the
// retry delay, and nothing fails.
func TestAUserWithoutChannelsWaitsByAskingAgain(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		all.must(t, "ACL", "SETUSER", "default", "resetchannels", "resetkeys", "~job", "resetchannels")
		one, other := lib.Locker(t, all.addrs()), lib.Locker(t, all.addrs())
		lock := mustLock(t, one, "job")
		next := other.LockAsync(t.Context(), "job", shortTTL)
		time.Sleep(300 * time.Millisecond) // it asks again meanwhile
		select {
		case <-next.Done():
			_, err := next.Wait(t.Context())
			t.Fatalf("the wait is over: %v", err)
		default:
		}
		mustUnlock(t, lock)
		lock, err := next.Wait(within20(t))
		if err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, lock)
	})
}

// redsync: deadline exceeded for most of 5,000 goroutines on one key.
func TestFiveThousandGoroutinesOnOneKeyAreOneCallersWorth(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		locker, callers := lib.Locker(t, all.addrs()), manyCallers(lib)
		counted := []string{"set", "evalsha", "eval"}
		if isOld(t, all[0]) {
			counted = counted[1:] // SET is what scripts do
		}
		before := all.commands(t, counted...)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var workers sync.WaitGroup
		for range callers {
			workers.Go(func() {
				lock, err := locker.Lock(ctx, "job")
				if err != nil {
					t.Error(err)
					return
				}
				mustUnlock(t, lock)
			})
		}
		workers.Wait()
		for i, n := range all.commands(t, counted...) {
			// Leftovers are found now and then, and a lock that they delay is
			// asked for twice.
			if got := n - before[i]; got > 2*callers+callers/10 {
				t.Errorf("server %d executed %d commands for %d locks", i, got, callers)
			}
		}
	})
}

// Once all have tickets, little is left to do but to lock and to unlock, in order.
func TestFiveThousandFairCallersOnOneKeyAreOneCallersWorthAndServedInOrder(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		locker, callers := lib.Locker(t, all.addrs()), manyCallers(lib)
		first := mustLock(t, lib.Locker(t, all.addrs()), "job", redlock.WithFair(), redlock.WithTTL(time.Minute))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		waiters := make([]*redlock.Pending, callers)
		for i := range waiters {
			waiters[i] = locker.LockAsync(ctx, "job", redlock.WithFair())
		}
		eventually(t, "the last has a ticket", func() bool {
			_, known := waiters[callers-1].Position()
			return known
		})
		before := all.commands(t, "evalsha", "eval")
		mustUnlock(t, first)
		for i, next := range waiters {
			lock, err := next.Wait(ctx)
			if err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			select {
			case <-waiters[callers-1].Done():
				if i < callers-1 {
					t.Fatalf("the last was served before %d", i)
				}
			default:
			}
			mustUnlock(t, lock)
		}
		for i, n := range all.commands(t, "evalsha", "eval") {
			// On a busy machine up to one attempt in seven fails, and is
			// followed by a release.
			if got := n - before[i]; got > 3*callers {
				t.Errorf("server %d executed %d commands for %d locks", i, got, callers)
			}
		}
	})
}

// manyCallers is more than other libraries can serve. The second library gets fewer:
// what is counted does not depend on it.
func manyCallers(lib library) int {
	if lib.Name == viaGoRedis.Name {
		return int(rounds(1000, 5000))
	}
	return int(rounds(200, 1000))
}

// commands is how many commands of these names each server has executed.
func (all servers) commands(t testing.TB, names ...string) (counts []int) {
	t.Helper()
	for _, s := range all {
		reply, err := s.Do("INFO", "commandstats")
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for line := range strings.Lines(reply.(string)) {
			var calls int
			for _, name := range names {
				if n, _ := fmt.Sscanf(line, "cmdstat_"+name+":calls=%d,", &calls); n == 1 {
					total += calls
				}
			}
		}
		counts = append(counts, total)
	}
	return counts
}

// Several processes that want the same lock all the time.
func TestContendersOfSeveralProcessesAllGetTheLock(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		var r referee
		var workers sync.WaitGroup
		var mu sync.Mutex
		var longest time.Duration
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		const lockers, callers, rounds = 4, 8, 10
		for i := range lockers {
			locker := lib.Locker(t, all.addrs())
			for j := range callers {
				workers.Go(func() {
					for range rounds {
						begin := time.Now()
						lock, err := locker.Lock(ctx, "job")
						if err != nil {
							t.Errorf("%d/%d: %v", i, j, err)
							return
						}
						granted := time.Now()
						mu.Lock()
						longest = max(longest, granted.Sub(begin))
						mu.Unlock()
						r.held(fmt.Sprintf("%d/%d", i, j), granted, lock)
						time.Sleep(time.Millisecond)
						if err := lock.Unlock(ctx); err != nil && !errors.Is(err, redlock.ErrNotHeld) {
							t.Error(err)
						}
					}
				})
			}
		}
		begun := time.Now()
		workers.Wait()
		if n := r.judge(t); n != lockers*callers*rounds {
			t.Errorf("%d holds", n)
		}
		t.Logf("%d locks in %v, the longest wait took %v", lockers*callers*rounds, time.Since(begun).Round(time.Millisecond), longest.Round(time.Millisecond))
		all.wantEmpty(t)
	})
}
