package redlock

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// The tests in this file stand for the promises in docs/guarantees.md.

// Promise 1.
func TestAtMostOneHolder(t *testing.T) {
	inBubble(t, 5, func(f *fixture) {
		holders, granted := 0, 0
		done := make(chan struct{})
		for range 20 {
			go func() {
				defer func() { done <- struct{}{} }()
				for range 20 {
					k, err := f.Lock(context.Background(), "job")
					if err != nil {
						t.Error(err)
						return
					}
					if holders++; holders > 1 { // -race would tell, too
						t.Error("two holders")
					}
					granted++
					time.Sleep(time.Millisecond)
					holders--
					f.unlock(k)
				}
			}()
		}
		for range 20 {
			<-done
		}
		if granted != 400 {
			t.Errorf("%d granted", granted)
		}
	})
}

// Promise 2.
func TestContextEndsAtUntilWhateverTheNodesDo(t *testing.T) {
	for name, disturb := range map[string]func(f *fixture, k *Lock){
		"nothing": func(*fixture, *Lock) {},
		"all nodes frozen and an extension in flight": func(f *fixture, k *Lock) {
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{Uninterrupted: true})
				n.Freeze()
			}
			time.Sleep(k.settings.ttl - 200*time.Millisecond)
			go k.Extend(context.Background())
		},
		"extensions that reach a minority": func(f *fixture, k *Lock) {
			f.nodes[0].Freeze()
			f.nodes[1].Freeze()
			for range 3 {
				if err := k.Extend(context.Background()); !errors.Is(err, ErrNoQuorum) {
					t.Errorf("Extend: %v", err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				k := f.lock("job")
				until := k.Until()
				ctx := k.Context()
				disturb(f, k)
				<-ctx.Done()
				if now := time.Now(); !now.Equal(until) {
					t.Errorf("ended %v after Until()", now.Sub(until))
				}
				wantIs(t, context.Cause(ctx), ErrExpired)
				wantIs(t, k.Unlock(context.Background()), ErrNotHeld, ErrExpired)
			})
		})
	}
}

// Promise 2: after a suspend of the machine, or after its clock was set.
func TestSuspendOfTheMachineEndsTheLockAtOnce(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		quiet := f.lock("other") // nobody asked for its context
		ctx := k.Context()
		until := k.Until()
		time.Sleep(time.Second)
		f.clock.Step(time.Hour)
		if got := until.Sub(k.Until()); got != time.Hour {
			t.Errorf("Until() moved back by %v, want an hour", got)
		}
		wantIs(t, ctx.Err(), context.Canceled)
		wantIs(t, context.Cause(ctx), ErrExpired)
		wantIs(t, quiet.Extend(context.Background()), ErrNotHeld)
	})
	inBubble(t, 3, func(f *fixture) {
		done := f.lock("job").Context().Done()
		time.Sleep(time.Second)
		f.clock.Step(time.Hour)
		woke := time.Now()
		<-done // nobody asks Err
		if took := time.Since(woke); took > suspendPeriod {
			t.Errorf("Done was closed %v after the sleep", took)
		}
	})
}

// Promise 7.
func TestClockSetBackProlongsNothing(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		until := k.Until()
		f.clock.Step(-time.Hour)
		if !k.Until().Equal(until) {
			t.Errorf("Until() moved by %v", k.Until().Sub(until))
		}
		<-k.Context().Done()
		if !time.Now().Equal(until) {
			t.Errorf("ended %v after Until()", time.Since(until))
		}
	})
}

// Promise 3.
func TestNoCallOutlivesItsContext(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("held")
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Uninterrupted: true})
			n.Freeze()
		}
		for name, call := range map[string]func(context.Context) error{
			"Lock":    func(ctx context.Context) error { _, err := f.Lock(ctx, "job"); return err },
			"TryLock": func(ctx context.Context) error { _, err := f.TryLock(ctx, "job"); return err },
			"Do": func(ctx context.Context) error {
				return f.Do(ctx, "job", func(context.Context) error { return nil })
			},
			"Extend": k.Extend,
			"Wait":   func(ctx context.Context) error { _, err := f.LockAsync(ctx, "job").Wait(ctx); return err },
		} {
			for _, d := range []time.Duration{0, 100 * time.Millisecond} {
				ctx, cancel := context.WithTimeout(context.Background(), d)
				start := time.Now()
				err := call(ctx)
				if took := time.Since(start); took != d {
					t.Errorf("%s took %v with %v to live", name, took, d)
				}
				wantIs(t, err, context.DeadlineExceeded)
				cancel()
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := k.Unlock(ctx)
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("Unlock took %v", took)
		}
		wantIs(t, err, context.DeadlineExceeded)
	})
}

// Promise 4: the rollback must not use the dead context.
func TestCancelInMidAcquireLeavesNothingBehind(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Delay: 200 * time.Millisecond})
		}
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_, err := f.Lock(ctx, "job")
		wantIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Second)
		f.wantCarriers("job", 0)
		for _, n := range f.nodes {
			if n.Count("acquire") != 1 || n.Count("release") == 0 {
				t.Errorf("%v: %v", n, n.Log())
			}
		}
	})
}

// Promise 4: a terminated program unlocks with a context that has ended.
func TestUnlockWithAContextThatHasEndedReleasesAndSaysSo(t *testing.T) {
	for name, of := range endedContexts {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				k := f.lock("job")
				for _, n := range f.nodes {
					n.Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond}) // so that the end of ctx comes first
				}
				ctx, cancel := of()
				defer cancel()
				if err := k.Unlock(ctx); err != nil {
					t.Errorf("Unlock: %v", err)
				}
				f.wantCarriers("job", 0)
			})
		})
	}
}

// endedContexts are contexts that have ended, or will while a call waits, without a
// deadline that is still ahead of it.
var endedContexts = map[string]func() (context.Context, context.CancelFunc){
	"cancelled": func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx, cancel
	},
	"cancelled while it waits": func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Millisecond, cancel)
		return ctx, cancel
	},
	"past its deadline": func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), -1)
	},
	"cancelled, and given a deadline since": func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return context.WithTimeout(ctx, time.Minute)
	},
}

func TestUnlockWithACancelledContextTakesANodeTimeoutAtMostAndKeepsItsDeadline(t *testing.T) {
	for name, c := range map[string]struct {
		deadline, took time.Duration
		err            error
	}{
		"without a deadline": {0, 500 * time.Millisecond, ErrNoQuorum},
		"with a long one":    {time.Minute, 500 * time.Millisecond, ErrNoQuorum},
		"with a short one":   {50 * time.Millisecond, 50 * time.Millisecond, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				k := f.lock("job")
				f.nodes[0].Freeze()
				f.nodes[1].Freeze()
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				if c.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				begun := time.Now()
				wantIs(t, k.Unlock(ctx), c.err)
				if took := time.Since(begun).Round(10 * time.Millisecond); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
			})
		})
	}
}

// Promise 4: an extension that fails may have prolonged keys beyond the lock's
// validity.
func TestFailedExtensionLeavesNoKeyBeyondTheValidity(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		time.Sleep(7 * time.Second)
		f.nodes[0].Set(fakenode.Faults{Refuse: true})
		f.nodes[1].Set(fakenode.Faults{Refuse: true})
		wantIs(t, k.Extend(context.Background()), ErrNoQuorum)
		synctest.Wait()
		f.nodes[0].Set(fakenode.Faults{})
		f.nodes[1].Set(fakenode.Faults{})
		if ttl := f.nodes[2].TTL("job"); ttl != 8*time.Second {
			t.Fatalf("node 3 was not prolonged: %v", ttl)
		}
		time.Sleep(time.Until(k.Until()))
		f.wantCarriers("job", 0) // and not seven seconds later
	})
}

// Promise 5.
func TestExtendNeverRevives(t *testing.T) {
	inBubble(t, 3, func(f *fixture) { // expired
		k := f.lock("job")
		time.Sleep(8 * time.Second)
		wantIs(t, k.Extend(context.Background()), ErrNotHeld, ErrExpired)
		f.wantCarriers("job", 0)
		if f.nodes[0].Count("extend") != 0 {
			t.Error("a lock that expired was extended on a node")
		}
	})
	inBubble(t, 3, func(f *fixture) { // expired, and another holder came and went
		k := f.lock("job")
		time.Sleep(9 * time.Second)
		f.unlock(f.lock("job"))
		wantIs(t, k.Extend(context.Background()), ErrNotHeld)
	})
	inBubble(t, 3, func(f *fixture) { // a majority forgot it
		k := f.lock("job")
		synctest.Wait()
		f.nodes[0].Lose()
		f.nodes[1].Lose()
		ctx := k.Context()
		wantIs(t, k.Extend(context.Background()), ErrNotHeld)
		wantIs(t, context.Cause(ctx), ErrLost)
		wantIs(t, k.Extend(context.Background()), ErrNotHeld, ErrLost)
		f.wantCarriers("job", 0)
	})
	inBubble(t, 3, func(f *fixture) { // validity ends while the extension is under way
		k := f.lock("job")
		synctest.Wait()
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 300 * time.Millisecond})
		}
		time.Sleep(7800 * time.Millisecond)
		wantIs(t, k.Extend(context.Background()), ErrNotHeld, ErrExpired)
		time.Sleep(time.Second)
		f.wantCarriers("job", 0)
	})
}

// Promise 5: a re-taken node counts from the next round on, so a majority that
// carries an extension has held the lock without a gap.
func TestRestartedNodeIsRetakenAndTheNextRestartIsSurvived(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive())
		for i := range 6 {
			time.Sleep(8 * time.Second)
			f.nodes[i%3].Lose()
		}
		time.Sleep(8 * time.Second)
		if held, _ := k.Held(); held != 3 || k.Context().Err() != nil {
			t.Errorf("held by %d nodes, context: %v", held, context.Cause(k.Context()))
		}
		f.unlock(k)
	})
}

// A majority is enough, and the loss of one of its nodes must not be that of the lock.
func TestANodeThatWasTakenWhenTheLockWasGrantedIsTakenLater(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		other := mustNew(t, f)
		f.others = append(f.others, other)
		f.nodes[2].Hold("job", "other", 10*time.Millisecond)
		k := f.lock("job")
		time.Sleep(20 * time.Millisecond)
		f.wantCarriers("job", 3)
		f.nodes[0].Lose()
		if _, err := other.TryLock(context.Background(), "job"); !errors.Is(err, ErrTaken) {
			t.Errorf("second holder: %v", err)
		}
		f.unlock(k)
	})
}

func TestNoNodeIsTakenForALockThatHasEnded(t *testing.T) {
	ends := map[string]func(f *fixture){
		"expired": func(*fixture) { time.Sleep(8 * time.Second) },
		"closed":  func(f *fixture) { f.Close(context.Background()) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				f.nodes[2].Hold("job", "other", 12*time.Second)
				k := f.lock("job", WithTTL(16*time.Second))
				if name == "expired" {
					k.Unlock(context.Background())
					k = f.lock("job")
				}
				end(f)
				asked := f.nodes[2].Count("acquire")
				time.Sleep(8 * time.Second)
				if n := f.nodes[2].Count("acquire") - asked; n != 0 {
					t.Errorf("asked %d times more", n)
				}
				k.Unlock(context.Background())
			})
		})
	}
}

// Promise 6.
func TestLostReplyAndRepeatNeverReadAsTaken(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{LoseReplies: true})
		}
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrNoQuorum, context.DeadlineExceeded)
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		time.Sleep(200 * time.Millisecond)
		k, err := f.TryLock(context.Background(), "job")
		if err != nil {
			t.Fatalf("taken by our own lost attempt: %v", err)
		}
		f.unlock(k)
	})
}

// Promise 8 is checked by every bubble: it fails if a goroutine is left.
func TestNothingRunsAfterTheUnlock(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive())
		time.Sleep(time.Minute)
		f.unlock(k)
		synctest.Wait()
		before := f.nodes[0].Log()
		time.Sleep(time.Hour)
		if after := f.nodes[0].Log(); len(after) != len(before) {
			t.Errorf("%d commands after the unlock", len(after)-len(before))
		}
	})
}

// suspendPeriod is how soon after a suspend contexts end.
const suspendPeriod = 250 * time.Millisecond

// Promise 2. A suspend that a lock outlives moves its end and its renewal forward.
func TestAfterAShortSuspendContextsEndAndRenewalsComeInTime(t *testing.T) {
	for _, suspended := range []time.Duration{2 * time.Second, 5 * time.Second, 6500 * time.Millisecond} {
		inBubble(t, 3, func(f *fixture) {
			k := f.lock("job", WithTTL(8*time.Second))
			end := k.Until()
			done := k.Context().Done()
			time.Sleep(time.Second)
			f.clock.Step(suspended)
			<-done // Err is not called
			if late := f.clock.Read().Wall.Sub(end.Round(0)); late > suspendPeriod {
				f.t.Errorf("after a suspend of %v it ends %v after Until", suspended, late)
			}
		})
	}
	inBubble(t, 3, func(f *fixture) {
		var kept []*Lock
		for i := range 100 {
			kept = append(kept, f.lock(fmt.Sprint(i), WithTTL(8*time.Second), WithKeepAlive()))
		}
		f.clock.Step(6 * time.Second) // 1.9 s are left
		time.Sleep(5 * time.Second)
		for _, k := range kept {
			if err := k.Context().Err(); err != nil {
				f.t.Errorf("lock %s: %v", k.Name(), context.Cause(k.Context()))
			}
			f.unlock(k)
		}
	})
}

// A slowClock takes its time for one reading.
type slowClock struct {
	clock.Fake
	slow atomic.Bool
}

func (c *slowClock) Read() clock.Reading {
	r := c.Fake.Read()
	if c.slow.CompareAndSwap(true, false) {
		time.Sleep(500 * time.Millisecond)
	}
	return r
}

// A clock that is set forward by a little looks like a suspend. A goroutine that pauses just
// after it noticed is late, and must not use the time of then.
func TestAPauseAfterAShortSuspendDoesNotProlongTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pools := fakenode.Pools(3)
		c := new(slowClock)
		l, err := newLocker(c, pools, nil)
		if err != nil {
			t.Fatal(err)
		}
		k, err := l.Lock(context.Background(), "job")
		if err != nil {
			t.Fatal(err)
		}
		until, done := k.Until(), k.Context().Done()
		time.Sleep(suspendPeriod / 2)
		c.Step(2 * time.Millisecond)
		c.slow.Store(true)
		<-done
		if late := time.Since(until); late > 0 {
			t.Errorf("it ends %v after Until", late)
		}
		_ = k.Unlock(context.Background())
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
