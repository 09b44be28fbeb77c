package redlock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

type ctxKey struct{}

func TestDoHoldsTheLockWhileFnRuns(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		ctx := context.WithValue(context.Background(), ctxKey{}, "value")
		err := f.Do(ctx, "job", func(ctx context.Context) error {
			time.Sleep(time.Minute)
			k, ok := FromContext(ctx)
			if !ok || k.Name() != "job" || ctx.Err() != nil || ctx.Value(ctxKey{}) != "value" {
				t.Errorf("context: lock %v, %v", ok, ctx.Err())
			}
			if f.carriers("job") != 3 {
				t.Error("not held")
			}
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			if inner, _ := FromContext(child); inner != k {
				t.Error("a child context does not know its lock")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		f.wantCarriers("job", 0)
	})
}

func TestDoReturnsFnsErrorUnmasked(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		fnErr := errors.New("fn failed")
		err := f.Do(context.Background(), "job", func(context.Context) error {
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{Refuse: true}) // the release fails
			}
			return fnErr
		})
		if err != nil && err.Error() != "fn failed" {
			t.Errorf("error %v", err)
		}
		wantIs(t, err, fnErr)
	})
}

func TestDoReportsALossAlsoWhenFnReturnsNil(t *testing.T) {
	inBubble(t, 3, func(f *fixture) { // noticed: fn sees its context end
		fnErr := errors.New("fn failed")
		err := f.Do(context.Background(), "job", func(ctx context.Context) error {
			synctest.Wait() // until all nodes carry it
			f.nodes[0].Lose()
			f.nodes[1].Lose()
			<-ctx.Done()
			return fnErr
		})
		wantIs(t, err, ErrLost, fnErr)
	})
	inBubble(t, 3, func(f *fixture) { // expired
		err := f.Do(context.Background(), "job", func(ctx context.Context) error {
			for _, n := range f.nodes {
				n.Freeze()
			}
			<-ctx.Done()
			return nil
		})
		wantIs(t, err, ErrLost, ErrExpired)
	})
	inBubble(t, 3, func(f *fixture) { // nobody noticed before the release
		err := f.Do(context.Background(), "job", func(context.Context) error {
			synctest.Wait()
			f.nodes[0].Lose()
			f.nodes[1].Lose()
			return nil
		})
		wantIs(t, err, ErrLost)
	})
}

func TestDoReportsThatItsFunctionUnlockedTheLock(t *testing.T) {
	for name, of := range map[string]func(context.Context) context.Context{
		"its own": func(ctx context.Context) context.Context { return ctx }, "another": context.WithoutCancel,
	} {
		inBubble(t, 3, func(f *fixture) {
			err := f.Do(context.Background(), "job", func(ctx context.Context) error {
				k, _ := FromContext(ctx)
				if err := k.Unlock(of(ctx)); err != nil {
					t.Errorf("with %s context: %v", name, err)
				}
				return nil
			})
			wantIs(t, err, ErrLost)
			if want := `redlock: do "job": lock was lost: the function unlocked it itself`; err == nil || err.Error() != want {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
}

func TestALockIsUnlockedWithTheContextOfOneInsideIt(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		outer := f.lock("outer", WithKeepAlive())
		err := f.Do(outer.Context(), "inner", func(ctx context.Context) error {
			if err := outer.Unlock(ctx); err != nil {
				t.Error(err)
			}
			f.wantCarriers("outer", 0)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestALockInsideItselfFailsAtOnce(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		nothing := func(context.Context) error { t.Error("called"); return nil }
		begun := time.Now()
		err := f.Do(context.Background(), "job", func(ctx context.Context) error {
			inside, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			for _, err := range []error{
				f.Do(inside, "job", nothing),
				second(f.Lock(ctx, "job")), second(f.LockAsync(ctx, "job").Wait(ctx)), second(f.TryLock(ctx, "job")),
			} {
				wantIs(t, err, ErrTaken)
			}
			if wasted := time.Since(begun); wasted > time.Second {
				t.Errorf("it took %v", wasted)
			}
			err := f.Do(ctx, "another", func(ctx context.Context) error {
				wantIs(t, second(f.Lock(ctx, "job")), ErrTaken) // it stems from both
				if took := time.Since(begun); took > time.Second {
					t.Errorf("it took %v", took)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			// From a context that does not end with the lock one may wait for its end.
			go func() { // ends soon after the lock
				k, err := f.Lock(context.WithoutCancel(ctx), "job")
				if err != nil {
					t.Error(err)
					return
				}
				f.unlock(k)
			}()
			synctest.Wait()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

func second[T any](_ T, err error) error { return err }

func TestDoEndsFnsContextWithTheCallersAndStillReleases(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := f.Do(ctx, "job", func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		wantIs(t, err, context.DeadlineExceeded)
		if errors.Is(err, ErrLost) {
			t.Errorf("nothing was lost: %v", err)
		}
		f.wantCarriers("job", 0)
	})
}

func TestDoReleasesWhenFnPanics(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("the panic was swallowed")
				}
			}()
			f.Do(context.Background(), "job", func(context.Context) error { panic("boom") })
		}()
		f.wantCarriers("job", 0)
	})
}

func TestDoDoesNotCallFnWithoutTheLock(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].Hold("job", "other", time.Hour)
		f.nodes[1].Hold("job", "other", time.Hour)
		err := f.Do(context.Background(), "job", func(context.Context) error {
			t.Error("fn was called")
			return nil
		}, WithMaxTries(2))
		wantIs(t, err, ErrTaken)
	})
}

func TestLockAsyncReturnsAtOnceAndWaitDeliversTheLock(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		first := f.lock("job")
		p := f.LockAsync(context.Background(), "job")
		select {
		case <-p.Done():
			t.Error("done while the lock is taken")
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := p.Wait(ctx)
		wantIs(t, err, context.DeadlineExceeded)
		f.unlock(first)
		<-p.Done()
		k, err := p.Wait(ctx) // done: even an ended context gets it
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := p.Wait(context.Background()); again != k {
			t.Error("Wait returned another lock")
		}
		p.Cancel() // too late: the lock is the caller's
		synctest.Wait()
		// The third may have been asked before it carried out the first's release.
		if n := f.carriers("job"); n < 2 {
			t.Errorf("%d nodes carry it", n)
		}
		f.unlock(k)
	})
}

func TestCancelGivesUpTheRequestAndTheLock(t *testing.T) {
	inBubble(t, 3, func(f *fixture) { // while it waits
		k := f.lock("job")
		p := f.LockAsync(context.Background(), "job")
		time.Sleep(time.Second)
		p.Cancel()
		_, err := p.Wait(context.Background())
		wantIs(t, err, context.Canceled)
		f.unlock(k)
		f.wantCarriers("job", 0)
	})
	inBubble(t, 3, func(f *fixture) { // after it was granted
		p := f.LockAsync(context.Background(), "job", WithKeepAlive())
		<-p.Done()
		p.Cancel()
		p.Cancel()
		_, err := p.Wait(context.Background())
		wantIs(t, err, context.Canceled)
		f.wantCarriers("job", 0)
	})
	inBubble(t, 3, func(f *fixture) { // at the same moment
		for range 100 {
			p := f.LockAsync(context.Background(), "job")
			go p.Cancel()
			if k, err := p.Wait(context.Background()); err == nil {
				f.unlock(k)
			}
			f.wantCarriers("job", 0)
		}
	})
}

func TestUnlockAgainReportsNotHeld(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		f.unlock(k)
		synctest.Wait()
		before := len(f.nodes[0].Log())
		wantIs(t, k.Unlock(context.Background()), ErrNotHeld)
		if synctest.Wait(); len(f.nodes[0].Log()) != before {
			t.Error("the nodes were asked again")
		}
	})
}

func TestUnlockAfterExpiryReportsNotHeldAndLeavesTheNextHolderAlone(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		time.Sleep(9 * time.Second)
		next := f.lock("job")
		wantIs(t, k.Unlock(context.Background()), ErrNotHeld, ErrExpired)
		f.wantCarriers("job", 3)
		f.unlock(next)
	})
}

// node-redlock#362: the release of a lock that the nodes just forgot is "not held", not
// "no quorum".
func TestUnlockThatAMajorityDeniesReportsNotHeld(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		synctest.Wait()
		f.nodes[0].Delete("job")
		f.nodes[1].Delete("job")
		err := k.Unlock(context.Background())
		wantIs(t, err, ErrNotHeld)
		if errors.Is(err, ErrNoQuorum) {
			t.Error(err)
		}
		f.wantCarriers("job", 0)
	})
}

// redis-py#4258: a failed release cleared the token, so it could not be repeated.
func TestUnlockWithoutQuorumMayBeRepeated(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		synctest.Wait()
		f.nodes[0].Freeze()
		f.nodes[1].Freeze()
		start := time.Now()
		wantIs(t, k.Unlock(context.Background()), ErrNoQuorum)
		if took := time.Since(start); took != 500*time.Millisecond {
			t.Errorf("took %v, want the node timeout", took)
		}
		wantIs(t, context.Cause(k.Context()), ErrReleased)
		f.nodes[0].Thaw()
		f.nodes[1].Thaw()
		time.Sleep(time.Second)
		f.wantCarriers("job", 0) // the release went on by itself
		f.unlock(k)              // it was ours, and nobody else's release
	})
}

// kubernetes#139991: the lease ended before the work did. A caller that goes away asks
// fn to stop; until it has, nobody else may start.
func TestDoKeepsTheLockUntilFnReturnsThoughTheCallerIsGone(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		ctx, cancel := context.WithCancel(context.Background())
		err := f.Do(ctx, "job", func(ctx context.Context) error {
			time.Sleep(time.Second)
			cancel()
			wantIs(t, ctx.Err(), context.Canceled)
			time.Sleep(time.Minute) // to wind down
			_, err := f.TryLock(context.Background(), "job")
			wantIs(t, err, ErrTaken)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		f.wantCarriers("job", 0)
	})
}

func TestUnlockAfterOneThatWasInterruptedIsNoFalseAlarm(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 100 * time.Millisecond})
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		wantIs(t, k.Unlock(ctx), context.DeadlineExceeded)
		time.Sleep(time.Minute) // long after Until
		f.unlock(k)
	})
}

func TestDoSaysThatTheLockerWasClosedAlsoWhereTheReleaseIsNotConfirmed(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		wantIs(f.t, f.Do(context.Background(), "job", func(ctx context.Context) error {
			f.Close(context.Background())
			if ctx.Err() == nil {
				f.t.Error("the context is open")
			}
			f.nodes[0].Freeze()
			f.nodes[1].Freeze()
			return nil
		}), ErrClosed)
		f.nodes[0].Thaw()
		f.nodes[1].Thaw()
		time.Sleep(time.Minute)
	})
}

// The usual way to clean up after a context has ended.
func TestUnlockKeepsTheDeadlineOfAContextThatWasCutLoose(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		f.nodes[0].Freeze()
		f.nodes[1].Freeze()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(k.Context()), 10*time.Millisecond)
		defer cancel()
		begun := time.Now()
		wantIs(f.t, k.Unlock(ctx), context.DeadlineExceeded)
		if took := time.Since(begun); took != 10*time.Millisecond {
			f.t.Errorf("it took %v", took)
		}
		f.nodes[0].Thaw()
		f.nodes[1].Thaw()
	})
}
