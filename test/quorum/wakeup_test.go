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

// Who is told of a release in a line of several Lockers, and who is not.

// An earful counts the messages that a Locker is told of.
type earful struct {
	pool.Pool
	messages *atomic.Int64
}

func (e earful) Subscribe(ctx context.Context) (pool.Subscription, error) {
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

// A fairCaller is a Locker whose caller stands in line, and what it heard.
type fairCaller struct {
	*redlock.Locker
	messages atomic.Int64
}

// stood runs a test with a lock that is held, and two Lockers that were told all the
// same to ask again by themselves not before seconds have passed.
func stood(t *testing.T, test func(t *testing.T, cluster *redlocktest.Cluster, lock *redlock.Lock, callers *[2]fairCaller, lines [2]*redlock.Pending)) {
	t.Helper()
	withTwo(t, func(t *testing.T, lib library) {
		synctest.Test(t, func(t *testing.T) {
			cluster := redlocktest.NewInMemory(t, 3)
			patient := redlock.WithRetryDelay(3*time.Second, 4*time.Second)
			holder := lib.newLocker(t, cluster.Addrs(), cluster.Dial)
			defer settle(t, holder)
			lock := mustLock(t, holder, "job", redlock.WithFair(), redlock.WithTTL(time.Minute))
			callers, line := new([2]fairCaller), [2]*redlock.Pending{}
			for i := range callers {
				var pools []pool.Pool
				for _, addr := range cluster.Addrs() {
					pools = append(pools, earful{lib.open(t, addr, cluster.Dial), &callers[i].messages})
				}
				locker, err := redlock.New(pools, patient)
				if err != nil {
					t.Fatal(err)
				}
				defer settle(t, locker)
				callers[i].Locker = locker
				line[i] = locker.LockAsync(t.Context(), "job", redlock.WithFair(), redlock.WithPlaceLease(time.Minute))
				time.Sleep(100 * time.Millisecond) // it is known, and listens
			}
			test(t, cluster, lock, callers, line)
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
	stood(t, func(t *testing.T, _ *redlocktest.Cluster, lock *redlock.Lock, callers *[2]fairCaller, line [2]*redlock.Pending) {
		wants := func(first, second int64) {
			t.Helper()
			synctest.Wait()
			if a, b := callers[0].messages.Load(), callers[1].messages.Load(); a != first || b != second {
				t.Errorf("the Lockers were told %d and %d times, want %d and %d", a, b, first, second)
			}
		}
		lock = mustBeServed(t, lock, line[0], time.Millisecond)
		wants(3, 0)
		lock = mustBeServed(t, lock, line[1], time.Millisecond)
		wants(3, 3)
		mustUnlock(t, lock)
	})
}

// The mark says who waits, too, if he was the last to ask.
func TestInABubbleAWaiterIsWokenThoughTheWaitQueueWasLost(t *testing.T) {
	stood(t, func(t *testing.T, cluster *redlocktest.Cluster, lock *redlock.Lock, _ *[2]fairCaller, line [2]*redlock.Pending) {
		lock = mustBeServed(t, lock, line[0], time.Millisecond)
		time.Sleep(5 * time.Second) // the other one has asked again
		for _, node := range cluster.Nodes() {
			if !node.Delete("{job}:queue") || !node.Delete("{job}:lease") {
				t.Error("there was no line")
			}
		}
		mustUnlock(t, mustBeServed(t, lock, line[1], time.Millisecond))
	})
}

func TestInABubbleOneMasterIsEnoughToWakeTheNextWaiter(t *testing.T) {
	stood(t, func(t *testing.T, cluster *redlocktest.Cluster, lock *redlock.Lock, _ *[2]fairCaller, line [2]*redlock.Pending) {
		time.Sleep(5 * time.Second)                // both have asked again: what they hear from now on is the release
		for _, node := range cluster.Nodes()[1:] { // they know of nobody
			for _, key := range []string{"queue", "lease", "wait"} {
				if !node.Delete("{job}:" + key) {
					t.Errorf("there was no %s", key)
				}
			}
		}
		lock = mustBeServed(t, lock, line[0], 10*time.Millisecond)
		mustUnlock(t, mustBeServed(t, lock, line[1], 10*time.Millisecond))
	})
}
