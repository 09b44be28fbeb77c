package redlock

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

func TestCloseEndsWaitsAndRenewalsAndLeavesHeldLocksToTheirHolders(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive())
		p := f.LockAsync(context.Background(), "job")
		time.Sleep(time.Second)
		err := f.Close(context.Background())
		if err == nil || !strings.Contains(err.Error(), `1 locks are still held, until they are unlocked or expire: ["job"]`) {
			t.Errorf("Close: %v", err)
		}
		_, err = p.Wait(context.Background())
		wantIs(t, err, ErrClosed, ErrTaken)
		wantIs(t, context.Cause(k.Context()), ErrClosed)
		f.wantCarriers("job", 3)
		wantIs(t, k.Extend(context.Background()), ErrClosed)
		f.unlock(k)
		f.wantCarriers("job", 0)

		_, err = f.Lock(context.Background(), "job")
		wantIs(t, err, ErrClosed)
		_, err = f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrClosed)
		wantIs(t, f.Do(context.Background(), "job", nil), ErrClosed)
	})
}

func TestDoReportsThatTheLockerWasClosedUnderIt(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		done := make(chan error)
		go func() {
			done <- f.Do(context.Background(), "job", func(ctx context.Context) error {
				<-ctx.Done()
				return nil
			})
		}()
		time.Sleep(time.Second)
		f.Close(context.Background())
		wantIs(t, <-done, ErrClosed)
		f.wantCarriers("job", 0)
	})
}

func TestCloseWaitsForStragglersAndSaysWhatItCouldNotSettle(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		synctest.Wait()
		f.nodes[2].Freeze()
		f.unlock(k)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		err := f.Close(ctx)
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v", took)
		}
		wantIs(t, err, context.DeadlineExceeded)
		if err == nil || !strings.Contains(err.Error(), `node node-3: 1 releases not confirmed; these keys may be left until they expire: ["job"]`) {
			t.Errorf("Close: %v", err)
		}
		f.nodes[2].Thaw()
		time.Sleep(10 * time.Second)
		f.nodes[2].Delete("job")
		f.Locker = mustNew(t, f) // the fixture closes it
	})
}

// As in a program that was told to end, and whose only context is the one that ended.
func TestCloseWithAContextThatHasEndedStillSettlesWhatTheNodesAnswer(t *testing.T) {
	for name, of := range endedContexts {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				k := f.lock("job")
				f.nodes[2].Set(fakenode.Faults{Delay: 50 * time.Millisecond}) // the majority is faster
				ctx, cancel := of()
				defer cancel()
				if err := k.Unlock(ctx); err != nil {
					t.Errorf("Unlock: %v", err)
				}
				for _, n := range f.nodes[:2] {
					n.Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond}) // so that the end of ctx comes before the grant
				}
				waiter := f.LockAsync(ctx, "other")
				if err := f.Close(ctx); err != nil {
					t.Errorf("Close: %v", err)
				}
				if n := f.carriers("job") + f.carriers("other"); n > 0 {
					t.Errorf("%d keys are left", n)
				}
				waiter.Cancel()
			})
		})
	}
}

func TestCloseWithACancelledContextTakesANodeTimeoutAndNoLongerThanItsDeadline(t *testing.T) {
	for name, c := range map[string]struct{ deadline, cancelled, took time.Duration }{
		"cancelled before":               {0, 0, 500 * time.Millisecond},
		"cancelled, with a deadline":     {50 * time.Millisecond, 0, 50 * time.Millisecond},
		"cancelled while it waits":       {0, 100 * time.Millisecond, 500 * time.Millisecond},
		"cancelled when it waited long":  {0, time.Second, time.Second},
		"at its deadline, and no sooner": {time.Second, 2 * time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				k := f.lock("job")
				f.nodes[2].Freeze()
				f.unlock(k)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if c.cancelled == 0 {
					cancel()
				} else {
					time.AfterFunc(c.cancelled, cancel)
				}
				if c.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				begun := time.Now()
				err := f.Close(ctx)
				if took := time.Since(begun); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				wantIs(t, err, ctx.Err())
				if err == nil || !strings.Contains(err.Error(), `may be left until they expire: ["job"]`) {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}

func TestCloseOfAnIdleLockerIsImmediateAndMayBeRepeated(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.unlock(f.lock("job"))
		synctest.Wait()
		start := time.Now()
		for range 2 {
			if err := f.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Close took %v", took)
		}
	})
}

func TestLocksThatAreNeverUnlockedAreForgotten(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		for range 20_000 {
			name := time.Now().String()
			if _, err := f.Lock(context.Background(), name); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := f.keeper.Held(); n > 3000 { // 800 are valid at a time
			t.Errorf("%d locks are remembered", n)
		}
		time.Sleep(8 * time.Second)
	})
}

func TestTenThousandHeldLocksHaveNoGoroutines(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		before := runtime.NumGoroutine()
		var locks []*Lock
		many := 2000
		if long() {
			many = 10_000
		}
		for i := range many {
			locks = append(locks, f.lock(string(rune('a'+i%26))+time.Duration(i).String(), WithKeepAlive()))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 100 {
			t.Errorf("%d goroutines for %d held locks", n, many)
		}
		for _, k := range locks {
			if k.Context().Err() != nil {
				t.Fatal(context.Cause(k.Context()))
			}
			f.unlock(k)
		}
	})
}

func TestMinuteOfLoadAgainstAFrozenNodeLeavesGoroutinesFlat(t *testing.T) {
	load := 10 * time.Second
	if long() {
		load = time.Minute
	}
	for name, uninterrupted := range map[string]bool{"client that gives up": false, "client that hangs": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				f.unlock(f.lock("job"))
				synctest.Wait()
				f.nodes[2].Set(fakenode.Faults{Uninterrupted: uninterrupted})
				f.nodes[2].Freeze()
				most := 0
				end := time.Now().Add(load)
				for time.Now().Before(end) {
					start := time.Now()
					f.unlock(f.lock("job"))
					if took := time.Since(start); took != 0 {
						t.Fatalf("a cycle took %v", took)
					}
					time.Sleep(5 * time.Millisecond)
					most = max(most, f.nodes[2].Calls())
				}
				limit := 140
				if f.pipelined() {
					limit += 80 // all that one node timeout brings, 5 ms apart
				}
				if most > limit {
					t.Errorf("%d calls hung at once", most)
				}
				f.nodes[2].Thaw()
				time.Sleep(time.Second)
				f.wantCarriers("job", 0)
			})
		})
	}
}

func TestCloseAgainReturnsAndUnlockAfterCloseIsStillSettled(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		late := f.lock("late", WithTTL(time.Hour))
		k := f.lock("job")
		f.nodes[2].Set(fakenode.Faults{Refuse: true})
		f.unlock(k)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := f.Close(ctx); err == nil || !strings.Contains(err.Error(), `["job"]`) {
			t.Errorf("Close: %v", err)
		}
		start := time.Now()
		if err := f.Close(context.Background()); err != nil || time.Since(start) != 0 {
			t.Errorf("Close again: %v after %v", err, time.Since(start))
		}
		f.unlock(late)
		f.nodes[2].Set(fakenode.Faults{})
		time.Sleep(time.Second)
		f.wantCarriers("late", 0)
		f.nodes[2].Delete("job")
	})
}

// The acquire of a lock that was granted without node 3, and that nobody unlocks.
func TestALockThatIsGivenUpAfterCloseIsReleased(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		p := f.LockAsync(context.Background(), "job", WithTTL(time.Hour))
		<-p.Done()
		if err := f.Close(context.Background()); err == nil {
			t.Error("Close does not say that the lock is still held")
		}
		f.wantCarriers("job", 3)
		p.Cancel()
		synctest.Wait()
		f.wantCarriers("job", 0)
		_, err := p.Wait(context.Background())
		wantIs(t, err, context.Canceled)
	})
}

func TestStragglerOfALockThatExpiredIsReleased(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[2].Freeze()
		k := f.lock("job")
		<-k.Context().Done()
		time.Sleep(time.Minute)
		f.nodes[2].Thaw()
		time.Sleep(time.Second)
		f.wantCarriers("job", 0)
	})
}

func TestCloseWaitsForTheRenewalsUnderWay(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		const renewing = 64 // at a time
		held := f.together(3 * renewing)
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Delay: 100 * time.Millisecond})
		}
		for f.nodes[0].Count("extend") < renewing {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		f.Close(context.Background())
		if _, renewed := f.keeper.Close(); renewed != nil {
			t.Error("renewals are still under way when Close returns")
		}
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		for _, k := range held {
			f.unlock(k)
		}
		time.Sleep(time.Minute)
		if n := f.nodes[0].Count("extend"); n > 2*renewing {
			t.Errorf("%d renewals, want those that were done and the %d that were under way", n, renewing)
		}
	})
}

func TestCloseComesNotBetweenTheEndOfALockAndItsRelease(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		k.lease.Release(f.clock.Read()) // as Unlock does, which goes on later
		closed := make(chan error, 1)
		go func() { closed <- f.Close(context.Background()) }()
		synctest.Wait()
		select {
		case err := <-closed:
			f.t.Errorf("Close returns %v, and %d nodes have the key", err, f.carriers("job"))
		default:
		}
		k.claim.Release(context.Background())
		if err := <-closed; err != nil {
			f.t.Error(err)
		}
		f.wantCarriers("job", 0)
	})
	inBubble(t, 3, func(f *fixture) { // of unknown outcome on one node, and expired
		f.nodes[2].Freeze()
		k := f.lock("job")
		time.Sleep(time.Until(k.Until()) - 1)
		k.lease.End(ErrHandedOver, true) // which rolls nothing back
		if !k.claim.OutcomeUnknown() {
			f.t.Error("the outcome is known")
		}
		k.claim.ExpectRelease() // as the end of a lease that expired does, whose roll back comes later
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := f.Close(ctx); err == nil {
			f.t.Error("Close says that nothing is left")
		}
		k.claim.RollBack()
		f.nodes[2].Thaw()
		time.Sleep(time.Minute) // the keys expire
	})
}

// In real time, since it is about instants.
func TestCloseAfterCancelLeavesNothing(t *testing.T) {
	for range 2000 {
		nodes, pools := fakenode.Pools(1)
		l, err := New(pools)
		if err != nil {
			t.Fatal(err)
		}
		p := l.LockAsync(context.Background(), "job")
		for nodes[0].Get("job") == "" {
			runtime.Gosched()
		}
		p.Cancel()
		if err := l.Close(context.Background()); err != nil || nodes[0].Get("job") != "" {
			t.Fatalf("Close: %v; the key is %q", err, nodes[0].Get("job"))
		}
		<-p.Done()
	}
}

func TestWhatCloseGaveUpIsNotRepeatedOrWaitedFor(t *testing.T) {
	for name, owe := range map[string]func(f *fixture){
		"an acquire of unknown fate": func(f *fixture) {
			f.nodes[1].Freeze()
			if k, err := f.TryLock(context.Background(), "job"); err == nil {
				f.t.Errorf("granted %v", k)
			}
		},
		"a release": func(f *fixture) {
			f.nodes[0].Thaw()
			k := f.lock("job")
			f.nodes[0].Freeze()
			f.unlock(k)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				f.nodes[0].Freeze()
				owe(f)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
				defer cancel()
				if f.Close(ctx) == nil {
					f.t.Error("Close says that nothing is left")
				}
				begun := time.Now()
				if err := f.Close(context.Background()); err != nil || time.Since(begun) > 0 {
					f.t.Errorf("again: %v after %v", err, time.Since(begun))
				}
				time.Sleep(time.Second) // what was under way
				f.nodes[0].Set(fakenode.Faults{Refuse: true})
				before := f.nodes[0].Refused()
				time.Sleep(5 * time.Minute)
				if n := f.nodes[0].Refused() - before; n > 0 {
					f.t.Errorf("%d calls in five minutes after Close", n)
				}
				f.nodes[0].Set(fakenode.Faults{})
				f.nodes[0].Thaw()
				f.nodes[1].Thaw()
				time.Sleep(time.Minute) // the keys expire
			})
		})
	}
}

func TestCloseReturnsAtOnceWhereClientsWereClosedAndSaysWhichKeysMayBeLeft(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		held := f.lock("held", WithTTL(time.Hour))
		f.unlock(f.lock("released", WithTTL(time.Hour)))
		synctest.Wait()
		f.nodes[2].Freeze()
		doubtful := f.lock("doubtful", WithTTL(time.Hour))
		f.unlock(doubtful)
		for range 100 {
			f.unlock(f.lock("doubtful", WithTTL(time.Hour)))
		}
		time.Sleep(10 * time.Second)
		f.nodes[2].Thaw()
		for _, n := range f.nodes {
			n.CloseClient()
		}
		err := held.Unlock(context.Background())
		wantIs(t, err, ErrNoQuorum, pool.ErrClosed)
		if !strings.Contains(fmt.Sprint(err), "close it after the Locker") {
			t.Errorf("Unlock: %v", err)
		}
		start := time.Now()
		err = f.Close(context.Background())
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("Close took %v", took)
		}
		for _, want := range []string{
			`node node-1: its client was closed before the Locker, and 1 releases could not be sent; these keys may be left until they expire: ["held"]`,
			`node node-3: its client was closed`, `["doubtful" "held"]`,
		} {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("Close: %v, want it to say %s", err, want)
			}
		}
		if err := f.Close(context.Background()); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}

func TestCloseSaysNothingOfKeysThatHaveExpiredSinceTheirClientWasClosed(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		synctest.Wait()
		for _, n := range f.nodes {
			n.CloseClient()
		}
		wantIs(t, k.Unlock(context.Background()), ErrNoQuorum)
		time.Sleep(10 * time.Second)
		if err := f.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestLockEndsAtOnceIfSoManyClientsAreClosedThatNoMajorityIsPossible(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].CloseClient()
		f.unlock(f.lock("job")) // the others will do
		f.nodes[1].CloseClient()
		start := time.Now()
		_, err := f.Lock(context.Background(), "job")
		wantIs(t, err, ErrNoQuorum, pool.ErrClosed)
		if !strings.Contains(fmt.Sprint(err), "this node's client was closed: close it after the Locker") {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("Lock took %v", took)
		}
	})
}
