package quorum_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
)

// A waiter that gives up withdraws from the nodes. Where that fails, the withdrawal stays pending.

// cutOff is a Locker whose commands to the nodes from first on fail while failure is set.
func (l *queueTest) cutOff(first int, failure *atomic.Pointer[error]) *redlock.Locker {
	return l.locker("cut off", func(_ context.Context, node int, _ []any) error {
		if err := failure.Load(); err != nil && node >= first {
			return *err
		}
		return nil
	})
}

var withdrawalFailures = map[string]error{
	"not sent": fmt.Errorf("%w: no route to host", pool.ErrNotSent),
	"refused":  pool.Error("LOADING Redis is loading the dataset in memory"),
}

func TestAWaiterThatCouldNotWithdrawAtOnceDoesSoLater(t *testing.T) {
	for name, err := range withdrawalFailures {
		withQueue(t, func(l *queueTest) {
			ctx := context.Background()
			var failure atomic.Pointer[error]
			one, two, other := l.cutOff(0, &failure), l.locker("two", undisturbed), l.locker("other", undisturbed)
			k := l.mustTake(other, redlock.WithTTL(time.Minute))
			first := one.LockAsync(ctx, "job", redlock.WithPlaceLease(time.Minute))
			time.Sleep(time.Second) // all nodes know of it
			second := two.LockAsync(ctx, "job")
			time.Sleep(time.Second)
			failure.Store(&err)
			first.Cancel()
			<-first.Done()
			time.Sleep(time.Second)
			failure.Store(nil)
			time.Sleep(time.Second)
			begun := time.Now()
			l.mustRelease(k)
			l.mustRelease(l.mustWait(second))
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("%s: the next waiter waits %v", name, took)
			}
		})
	}
}

func TestCloseWaitsForAWithdrawalAndSaysWhereItWasNotConfirmed(t *testing.T) {
	for name, err := range withdrawalFailures {
		withQueue(t, func(l *queueTest) {
			ctx := context.Background()
			var failure atomic.Pointer[error]
			one, other := l.cutOff(0, &failure), l.locker("other", undisturbed)
			k := l.mustTake(other, redlock.WithTTL(time.Minute))
			first := one.LockAsync(ctx, "job", redlock.WithPlaceLease(time.Minute))
			time.Sleep(time.Second)
			failure.Store(&err)
			first.Cancel()
			<-first.Done()
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if err := one.Close(short); err == nil || strings.Count(err.Error(), "1 releases not confirmed") != 3 {
				t.Errorf("%s: Close: %v", name, err)
			}
			l.mustRelease(k)
		})
	}
}

// A node may have a position and no key of the lock that was granted in the end.
func TestAPositionIsGivenUpOnANodeThatHadNoPartInTheLock(t *testing.T) {
	for name, err := range withdrawalFailures {
		withQueue(t, func(l *queueTest) {
			ctx := context.Background()
			var failure atomic.Pointer[error]
			one, other := l.cutOff(2, &failure), l.locker("other", undisturbed)
			k := l.mustTake(other, redlock.WithTTL(time.Minute))
			waiter := one.LockAsync(ctx, "job", redlock.WithPlaceLease(time.Minute))
			time.Sleep(time.Second) // all nodes know of it
			failure.Store(&err)
			l.mustRelease(k)
			l.mustRelease(l.mustWait(waiter))
			time.Sleep(time.Second)
			failure.Store(nil)
			time.Sleep(time.Second)
			if left := l.look[2].ZRange(ctx, "{job}:queue", 0, -1).Val(); len(left) > 0 {
				t.Errorf("%s: the last node still knows of %q", name, left)
			}
		})
	}
}

func TestAWithdrawalThatANodeNeverTakesIsPendingForALease(t *testing.T) {
	withQueue(t, func(l *queueTest) {
		ctx := context.Background()
		var failure atomic.Pointer[error]
		one, other := l.cutOff(0, &failure), l.locker("other", undisturbed)
		k := l.mustTake(other, redlock.WithTTL(time.Minute))
		first := one.LockAsync(ctx, "job", redlock.WithPlaceLease(20*time.Second))
		time.Sleep(time.Second)
		err := withdrawalFailures["not sent"]
		failure.Store(&err)
		first.Cancel()
		<-first.Done()
		begun := time.Now()
		if err := one.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(begun); took < 20*time.Second || took > 25*time.Second {
			t.Errorf("Close took %v, want a lease of 20s", took)
		}
		l.mustRelease(k)
	})
}
