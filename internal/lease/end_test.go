package lease

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var errRefused = errors.New("no quorum")

// Close must not come between the end of a lease and its release: Keys are
// notified with the mutex held, before Close can see the end.
func TestEndOfALeaseHappensInOneOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		with func(k *testLock)
		end  func(f *fixture, k *testLock)
		want []string
	}{
		{"expired", nil,
			func(f *fixture, k *testLock) { time.Sleep(11 * time.Second) },
			[]string{"no retake", "ended, rolled back false", "lost: lock expired, silent false"}},
		{"expired, and an acquire may yet set a key", func(k *testLock) { k.unknown = true },
			func(f *fixture, k *testLock) { time.Sleep(11 * time.Second) },
			[]string{"no retake", "release expected", "ended, rolled back true", "lost: lock expired, silent false"}},
		{"expired after an extension in vain", (*testLock).refuse,
			func(f *fixture, k *testLock) { _ = k.Renew(context.Background()); time.Sleep(11 * time.Second) },
			[]string{"no retake", "release expected", "ended, rolled back true", "lost: lock expired; the last extension: no quorum, silent false"}},
		{"lost", func(k *testLock) { k.unknown = true },
			func(f *fixture, k *testLock) {
				if !k.End(ErrLost, true) || k.End(ErrClosed, true) {
					t.Error("the first cause does not count, or the second does")
				}
			},
			[]string{"no retake", "release expected", "ended, rolled back true", "lost: lock was lost, silent true"}},
		{"released", func(k *testLock) { k.unknown = true },
			func(f *fixture, k *testLock) { f.release(k) },
			[]string{"release expected"}},
		{"released too late", nil,
			func(f *fixture, k *testLock) {
				f.clock.Step(time.Hour)
				if cause, valid := k.Release(f.clock.Read()); cause != ErrExpired || valid {
					t.Errorf("Release: %v, valid %v", cause, valid)
				}
			},
			[]string{"no retake", "ended, rolled back false", "lost: lock expired, silent true"}},
		{"handed over", func(k *testLock) { k.unknown = true },
			func(f *fixture, k *testLock) {
				time.Sleep(time.Second)
				if left, held, err := k.HandOver(); left != validity-time.Second || held != time.Second || err != nil {
					t.Errorf("%v left, held for %v, %v", left, held, err)
				}
			},
			[]string{"no retake", "ended, rolled back false"}},
		{"closed", func(k *testLock) { k.unknown = true },
			func(f *fixture, k *testLock) { f.Close() },
			[]string{"no retake", "ended, rolled back false", "lost: locker is closed, silent true"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(f *fixture) {
				k := f.ask("job", terms)
				if c.with != nil {
					c.with(k)
				}
				f.Hold(&k.Lease, false)
				k.EndOnTime()
				k.Lease.mu.Lock()
				ctx, timer := k.ctx, k.timer
				k.Lease.mu.Unlock()
				k.onEnd(func() {
					if ctx.Context.Err() == nil || f.Held() > 0 || timer.Stop() {
						t.Error("Ended is called before the context has ended, the lease is forgotten and its timer has stopped")
					}
				})
				c.end(f, k)
				synctest.Wait()
				if got := k.noted(); !slices.Equal(got, c.want) {
					t.Errorf("events %q, want %q", got, c.want)
				}
				if ctx.Context.Err() == nil || f.Held() > 0 || f.suspend.leases > 0 {
					t.Errorf("context %v, %d leases held, %d watched", ctx.Context.Err(), f.Held(), f.suspend.leases)
				}
				if k.Cause() != context.Cause(ctx) {
					t.Errorf("the lease ended with %v, and its context with %v", k.Cause(), context.Cause(ctx))
				}
			})
		})
	}
}

func TestLeaseThatHasEndedIsNotHandedOver(t *testing.T) {
	inBubble(t, func(f *fixture) {
		k := f.holdOn(terms, "job", false)
		time.Sleep(validity)
		if _, _, err := k.HandOver(); err != ErrExpired || k.Cause() != ErrExpired {
			t.Errorf("handed over: %v; the lease: %v", err, k.Cause())
		}
	})
}

func TestHolderThatHasTheContextNeedsNoRecordOfALoss(t *testing.T) {
	for has, want := range map[bool]string{false: "lost: lock expired, silent false", true: "lost: lock expired, silent true"} {
		inBubble(t, func(f *fixture) {
			k := f.holdOn(terms, "job", false)
			if has {
				k.Context()
			} else {
				k.EndOnTime()
			}
			time.Sleep(validity)
			synctest.Wait()
			if got := k.noted(); got[len(got)-1] != want {
				t.Errorf("has the context: %v; events %q", has, got)
			}
		})
	}
}

func TestLeasesThatEndTogetherHaveAllEndedBeforeALossIsReported(t *testing.T) {
	inBubble(t, func(f *fixture) {
		var all []*testLock
		for i := range 3 {
			k := f.holdOn(terms, fmt.Sprint(i), false)
			k.EndOnTime()
			k.onEnd(func() {
				for _, other := range all {
					if slices.ContainsFunc(other.noted(), func(e string) bool { return e[:4] == "lost" }) {
						t.Error("a loss is reported before another lease has ended")
					}
				}
			})
			all = append(all, k)
		}
		f.clock.Step(time.Hour)
		time.Sleep(suspendPeriod)
		synctest.Wait()
		for _, k := range all {
			if got := k.noted(); len(got) != 3 {
				t.Errorf("events %q", got)
			}
		}
	})
}

// Whichever goroutine noticed the end first may not have come to ending the context yet.
func TestErrIsRightBeforeTheContextHasBeenEnded(t *testing.T) {
	inBubble(t, func(f *fixture) {
		k := f.hold("job")
		ctx := k.Context()
		k.Lease.mu.Lock()
		k.setCause(ErrExpired)
		k.Lease.mu.Unlock()
		if ctx.Err() == nil || context.Cause(ctx) != ErrExpired {
			t.Errorf("Err %v, cause %v", ctx.Err(), context.Cause(ctx))
		}
		select {
		case <-ctx.Done():
		default:
			t.Error("Done is open")
		}
		k.finish()
	})
}

// The caller of a context may hold a mutex that is needed for what follows from the end.
func TestAskingTheContextRunsNothingOfTheLock(t *testing.T) {
	inBubble(t, func(f *fixture) {
		k := f.holdOn(terms, "job", false)
		free := make(chan struct{})
		k.onEnd(func() { <-free })
		ctx := k.Context()
		f.clock.Step(time.Hour)
		if ctx.Err() == nil || ctx.Value(testKey{}) != k || k.EndIfExpiredAsync() != ErrExpired {
			t.Errorf("Err %v, lease %v", ctx.Err(), k.EndIfExpiredAsync())
		}
		close(free)
		synctest.Wait()
		if got := k.noted(); len(got) != 3 {
			t.Errorf("events %q", got)
		}
	})
}

func TestContextHasTheValuesOfTheCallerAndEndsWithItOnlyIfScoped(t *testing.T) {
	type key struct{}
	for _, scoped := range []bool{false, true} {
		inBubble(t, func(f *fixture) {
			caller, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "of the caller"))
			k := &testLock{f: f, name: "job"}
			k.Start(f.Keeper, Grant{Lock: k, Values: caller, Scoped: scoped}, terms, f.clock.Read())
			f.Hold(&k.Lease, false)
			ctx := k.Context()
			if ctx.Value(key{}) != "of the caller" || ctx.Value(testKey{}) != k || ctx.Value("other") != nil {
				t.Errorf("values %v, %v, %v", ctx.Value(key{}), ctx.Value(testKey{}), ctx.Value("other"))
			}
			cancel()
			if ended := ctx.Err() != nil; ended != scoped || k.Cause() != nil {
				t.Errorf("scoped %v, and the context has ended: %v; the lease: %v", scoped, ended, k.Cause())
			}
			f.release(k)
			if context.Cause(k.Context()) == nil {
				t.Error("the context outlives the lease")
			}
		})
	}
}

func TestContextAskedForAfterTheEndHasEnded(t *testing.T) {
	inBubble(t, func(f *fixture) {
		k := f.holdOn(terms, "job", false)
		f.release(k)
		ctx := k.Context()
		if cause := context.Cause(ctx); cause != ErrReleased {
			t.Errorf("cause %v", cause)
		}
		if ctx.Err() == nil || f.suspend.leases != 0 {
			t.Errorf("cause %v, %d leases watched", context.Cause(ctx), f.suspend.leases)
		}
	})
}
