package redlock

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// about reports whether a key lives for d, give or take the drift and its slack.
func about(left, d time.Duration) bool { return left >= d && left <= d+d/50+5*time.Millisecond }

func (f *fixture) wantLeft(key string, want time.Duration) {
	f.t.Helper()
	synctest.Wait()
	for _, n := range f.nodes {
		if left := n.TTL(key); !about(left, want) {
			f.t.Errorf("node %v keeps %q for %v, want %v", n, key, left, want)
		}
	}
}

func TestUnlockBeforeTheMinHoldEndsTheLockAndLeavesTheKeysForTheRest(t *testing.T) {
	for name, d := range map[string]time.Duration{"below the TTL": 5 * time.Second, "above the TTL": time.Minute} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				k := f.lock("job", WithMinHold(d))
				ctx := k.Context()
				time.Sleep(2 * time.Second)
				f.unlock(k)
				wantIs(t, context.Cause(ctx), ErrReleased)
				if held, _ := k.Held(); held != 0 {
					t.Errorf("held on %d nodes", held)
				}
				wantIs(t, k.Unlock(context.Background()), ErrNotHeld)
				wantIs(t, k.Extend(context.Background()), ErrNotHeld)
				f.wantLeft("job", d-2*time.Second)

				// It is taken, and not for an own leftover either.
				begun := time.Now()
				for _, l := range []*Locker{f.Locker, mustNew(t, f)} {
					_, err := l.TryLock(context.Background(), "job")
					if wantIs(t, err, ErrTaken); !strings.Contains(err.Error(), "by me on") {
						t.Errorf("error %v", err)
					}
					f.others = append(f.others, l)
				}
				f.others = f.others[1:]
				if took := time.Since(begun); took != 0 {
					t.Errorf("it took %v", took)
				}
				time.Sleep(d - 2*time.Second + d/50 + 5*time.Millisecond)
				f.unlock(f.lock("job"))
			})
		})
	}
}

func TestWaiterGetsALockThatWasUnlockedEarlyWhenTheMinHoldHasPassed(t *testing.T) {
	for name, opts := range map[string][]LockOption{"plain": nil, "fenced": {WithFencing()}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				begun := time.Now()
				k := f.lock("job", append(opts, WithMinHold(10*time.Second))...)
				other := mustNew(t, f)
				f.others = append(f.others, other)
				here, there := f.LockAsync(context.Background(), "job", opts...), other.LockAsync(context.Background(), "job", opts...)
				time.Sleep(time.Second)
				f.unlock(k)
				var first *Lock
				select {
				case <-here.Done():
					first, _ = here.Wait(context.Background())
				case <-there.Done():
					first, _ = there.Wait(context.Background())
				}
				if waited := time.Since(begun); waited < 10*time.Second || waited > 10*time.Second+500*time.Millisecond {
					t.Errorf("granted after %v", waited)
				}
				if k.Token() != 0 && first.Token() <= k.Token() {
					t.Errorf("token %d after %d", first.Token(), k.Token())
				}
				f.unlock(first)
				for _, p := range []*Pending{here, there} {
					if next, err := p.Wait(context.Background()); err != nil {
						t.Error(err)
					} else if next != first {
						f.unlock(next)
					}
				}
			})
		})
	}
}

// A job of a tick is done long before another clock says that it is time.
func TestMinHoldIsCountedFromTheGrantAndNotFromTheCall(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 300 * time.Millisecond})
		}
		k := f.lock("job", WithMinHold(10*time.Second))
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		f.unlock(k)
		f.wantLeft("job", 10*time.Second)
		time.Sleep(11 * time.Second)
	})
}

// The wall clock of a client may be set at any moment: the nodes count.
func TestClockThatIsSetForwardDoesNotShortenTheMinHold(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithMinHold(10*time.Second))
		f.clock.Step(time.Hour)
		wantIs(t, k.Unlock(context.Background()), ErrNotHeld)
		synctest.Wait()
		for _, n := range f.nodes {
			if left := n.TTL("job"); left < 7*time.Second { // nobody extends it any more
				t.Errorf("node %v keeps the key for %v", n, left)
			}
		}
		time.Sleep(11 * time.Second)
	})
}

func TestUnlockAfterTheMinHoldDeletes(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithMinHold(time.Second))
		time.Sleep(1100 * time.Millisecond)
		f.unlock(k)
		f.wantCarriers("job", 0)
	})
}

func TestCloseDoesNotWaitForTheMinHoldAndLeavesNoPendingRelease(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.unlock(f.lock("job", WithMinHold(time.Hour), WithKeepAlive()))
		begun := time.Now()
		if err := f.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("Close took %v", took)
		}
		f.wantLeft("job", time.Hour)
		time.Sleep(time.Hour)
	})
}

func TestAGrantThatWasNotTakenIsDeletedAtOnceInSpiteOfAMinHold(t *testing.T) {
	inBubble(t, 3, func(f *fixture) { // cancelled, granted or not
		p := f.LockAsync(context.Background(), "job", WithMinHold(time.Hour))
		<-p.Done()
		p.Cancel()
		f.wantCarriers("job", 0)
		p = f.LockAsync(context.Background(), "job", WithMinHold(time.Hour))
		p.Cancel()
		<-p.Done()
		f.wantCarriers("job", 0)
	})
	inBubble(t, 3, func(f *fixture) { // an attempt that failed
		f.nodes[0].Hold("job", "other", time.Minute)
		f.nodes[1].Hold("job", "other", time.Minute)
		wantIs(t, second(f.TryLock(context.Background(), "job", WithMinHold(time.Hour))), ErrTaken)
		synctest.Wait()
		if f.nodes[2].Get("job") != "" {
			t.Error("it is left on a node")
		}
		time.Sleep(time.Minute)
	})
}

func TestDoWithAMinHoldRunsOncePerTickOnInstancesWhoseClocksDiffer(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		ran := 0
		tick := func(l *Locker) error {
			return l.Do(context.Background(), "job", func(context.Context) error {
				ran++
				time.Sleep(time.Millisecond)
				return nil
			}, WithMinHold(500*time.Millisecond), WithMaxTries(1))
		}
		late := mustNew(t, f)
		f.others = append(f.others, late)
		for second := range 5 {
			if err := tick(f.Locker); err != nil {
				t.Error(err)
			}
			time.Sleep(200 * time.Millisecond)
			wantIs(t, tick(late), ErrTaken)
			time.Sleep(799 * time.Millisecond)
			if ran != second+1 {
				t.Fatalf("after %d ticks it ran %d times", second+1, ran)
			}
		}
	})
}

func TestUnlockWithAMinHoldSaysThatNoMajorityConfirmed(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithMinHold(30*time.Second))
		f.nodes[0].Freeze()
		f.nodes[1].Freeze()
		err := k.Unlock(context.Background())
		if wantIs(t, err, ErrNoQuorum); errors.Is(err, ErrNotHeld) {
			t.Errorf("error %v", err)
		}
		f.nodes[0].Thaw()
		f.nodes[1].Thaw()
		f.unlock(k)
		time.Sleep(31 * time.Second)
	})
}

func TestOptionsThatDoNotFitAMinHoldAreRefused(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for want, opts := range map[string][]LockOption{
			"WithMinHold(-1s): must be above 0":                                            {WithMinHold(-time.Second)},
			"WithMinHold(9000h0m0s): must be above 0 and at most 8760h0m0s":                {WithMinHold(9000 * time.Hour)},
			"WithMinHold(1h0m0s): must not be above WithMaxHold(1m0s)":                     {WithMinHold(time.Hour), WithMaxHold(time.Minute)},
			"WithMinHold(20s): must not be above WithRestartGuard(10s): guard for longer,": {WithMinHold(20 * time.Second)},
		} {
			if _, err := f.TryLock(context.Background(), "job", opts...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
		if _, err := New(newPools(f), WithMinHold(time.Minute), WithRestartGuard(time.Second*30)); err == nil {
			t.Error("New takes a MinHold above the guard's TTL")
		}
	}, WithRestartGuard(10*time.Second))
}
