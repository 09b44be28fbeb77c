package quorum_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// Which of several queued Lockers a release wakes.

// A countingPool counts the messages to a Locker.
type countingPool struct {
	pool.Pool
	messages *atomic.Int64
}

func (e countingPool) Subscribe(ctx context.Context) (pool.Subscription, error) {
	s, err := e.Pool.(pool.Subscriber).Subscribe(ctx)
	return counted{s, e.messages}, err
}

type counted struct {
	pool.Subscription
	messages *atomic.Int64
}

func (c counted) Receive() (pool.Event, error) {
	event, err := c.Subscription.Receive()
	if event.Kind == pool.Message {
		c.messages.Add(1)
	}
	return event, err
}

// A fairCaller is a Locker with a waiter, and the number of its messages.
type fairCaller struct {
	*redlock.Locker
	messages atomic.Int64
}

// withTwoWaiters runs a test with a held lock and two Lockers that wait for it. Without a
// wake-up they retry only after seconds.
func withTwoWaiters(t *testing.T, test func(t *testing.T, cluster *redlocktest.Cluster, lock *redlock.Lock, callers *[2]fairCaller, waiters [2]*redlock.Pending)) {
	t.Helper()
	withTwo(t, func(t *testing.T, lib library) {
		synctest.Test(t, func(t *testing.T) {
			cluster := redlocktest.NewInMemory(t, 3)
			patient := redlock.WithRetryDelay(3*time.Second, 4*time.Second)
			holder := lib.NewLocker(t, cluster.Addrs(), cluster.Dial)
			defer settle(t, holder)
			lock := mustLock(t, holder, "job", redlock.WithFair(), redlock.WithTTL(time.Minute))
			callers, waiters := new([2]fairCaller), [2]*redlock.Pending{}
			for i := range callers {
				var pools []pool.Pool
				for _, addr := range cluster.Addrs() {
					pools = append(pools, countingPool{lib.Open(t, addr, cluster.Dial), &callers[i].messages})
				}
				locker, err := redlock.New(pools, patient)
				if err != nil {
					t.Fatal(err)
				}
				defer settle(t, locker)
				callers[i].Locker = locker
				waiters[i] = locker.LockAsync(t.Context(), "job", redlock.WithFair(), redlock.WithPlaceLease(time.Minute))
				time.Sleep(100 * time.Millisecond) // it is registered, and subscribed
			}
			test(t, cluster, lock, callers, waiters)
		})
	})
}

// mustBeServed unlocks, and sees that next is served within d.
func mustBeServed(t *testing.T, lock *redlock.Lock, next *redlock.Pending, d time.Duration) *redlock.Lock {
	t.Helper()
	begun := time.Now()
	mustUnlock(t, lock)
	lock, err := next.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > d {
		t.Errorf("served after %v", took)
	}
	return lock
}

func TestInABubbleAReleaseWakesTheNextWaiterAlone(t *testing.T) {
	withTwoWaiters(t, func(t *testing.T, _ *redlocktest.Cluster, lock *redlock.Lock, callers *[2]fairCaller, waiters [2]*redlock.Pending) {
		wants := func(first, second int64) {
			t.Helper()
			synctest.Wait()
			if a, b := callers[0].messages.Load(), callers[1].messages.Load(); a != first || b != second {
				t.Errorf("the Lockers got %d and %d messages, want %d and %d", a, b, first, second)
			}
		}
		lock = mustBeServed(t, lock, waiters[0], time.Millisecond)
		wants(3, 0)
		lock = mustBeServed(t, lock, waiters[1], time.Millisecond)
		wants(3, 3)
		mustUnlock(t, lock)
	})
}

// The waiter flag names a waiter, too, if that was the last to try.
func TestInABubbleAWaiterIsWokenThoughTheWaitQueueWasLost(t *testing.T) {
	withTwoWaiters(t, func(t *testing.T, cluster *redlocktest.Cluster, lock *redlock.Lock, _ *[2]fairCaller, waiters [2]*redlock.Pending) {
		lock = mustBeServed(t, lock, waiters[0], time.Millisecond)
		time.Sleep(5 * time.Second) // the other one has retried
		for _, node := range cluster.Nodes() {
			if !node.Delete("{job}:queue") || !node.Delete("{job}:lease") {
				t.Error("there was no queue")
			}
		}
		mustUnlock(t, mustBeServed(t, lock, waiters[1], time.Millisecond))
	})
}

func TestInABubbleOneMasterIsEnoughToWakeTheNextWaiter(t *testing.T) {
	withTwoWaiters(t, func(t *testing.T, cluster *redlocktest.Cluster, lock *redlock.Lock, _ *[2]fairCaller, waiters [2]*redlock.Pending) {
		time.Sleep(5 * time.Second)                // both have retried: their next message is the release
		for _, node := range cluster.Nodes()[1:] { // they know no waiter
			for _, key := range []string{"queue", "lease", "wait"} {
				if !node.Delete("{job}:" + key) {
					t.Errorf("there was no %s", key)
				}
			}
		}
		lock = mustBeServed(t, lock, waiters[0], 10*time.Millisecond)
		mustUnlock(t, mustBeServed(t, lock, waiters[1], 10*time.Millisecond))
	})
}
