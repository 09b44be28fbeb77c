package quorum_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// The counter is neither atomic nor guarded by anything but the lock: with -race
// the test also shows that one holder's writes are seen by the next. Half of the
// goroutines use another Locker, as another process would.
func TestTwentyGoroutinesIncrementACounterOneAtATime(t *testing.T) {
	t.Parallel()
	onCluster(t, 3, func(q *quorumTest) {
		const goroutines, rounds = 20, 3
		counter := 0
		var all sync.WaitGroup
		for i := range goroutines {
			locker := q.ours
			if i%2 == 1 {
				locker = q.rival
			}
			all.Go(func() {
				for range rounds {
					lock, err := locker.Lock(context.Background(), "job")
					if err != nil {
						q.Error(err)
						return
					}
					counter++
					mustUnlock(q, lock)
				}
			})
		}
		all.Wait()
		if counter != goroutines*rounds {
			q.Errorf("counted %d, want %d", counter, goroutines*rounds)
		}
	}, redlock.WithRetryDelay(5*time.Millisecond, 50*time.Millisecond))
}

func TestDoHoldsTheLockAndReleasesItOnEveryNode(t *testing.T) {
	t.Parallel()
	onCluster(t, 3, func(q *quorumTest) {
		failed := errors.New("failed")
		err := q.ours.Do(context.Background(), "job", func(ctx context.Context) error {
			if lock, ok := redlock.FromContext(ctx); !ok || lock.Name() != "job" {
				q.Errorf("the context carries %v, %v", lock, ok)
			}
			_, err := q.rival.TryLock(ctx, "job")
			wantError(q, err, redlock.ErrTaken)
			return failed
		})
		wantError(q, err, failed)
		if errors.Is(err, redlock.ErrLost) {
			q.Errorf("%v: it was not lost", err)
		}
		eventually(q, "all nodes are free", func() bool { return q.carriers("job") == 0 })
	})
}

func TestDoEndsItsFunctionWhenAMajorityForgetsTheLock(t *testing.T) {
	t.Parallel()
	onCluster(t, 3, func(q *quorumTest) {
		err := q.ours.Do(context.Background(), "job", func(ctx context.Context) error {
			eventually(q, "all nodes carry the lock", func() bool { return q.carriers("job") == 3 })
			// Again and again: an extension that comes between the first two deletions finds a
			// majority, and takes the other node again.
			eventually(q, "the context ends", func() bool {
				q.first(2, func(n *redlocktest.Node) { n.Delete("job") })
				return ctx.Err() != nil
			})
			return nil
		})
		wantError(q, err, redlock.ErrLost)
	}, redlock.WithTTL(time.Second), redlock.WithNodeTimeout(300*time.Millisecond))
}

func TestLockAsyncIsGrantedWhenTheHolderUnlocks(t *testing.T) {
	t.Parallel()
	onCluster(t, 3, func(q *quorumTest) {
		held := mustLock(q, q.rival, "job")
		pending := q.ours.LockAsync(context.Background(), "job")
		short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_, err := pending.Wait(short)
		wantError(q, err, context.DeadlineExceeded)
		select {
		case <-pending.Done():
			q.Error("done while another holds the lock")
		default:
		}
		mustUnlock(q, held)
		lock, err := pending.Wait(context.Background())
		if err != nil {
			q.Fatal(err)
		}
		mustUnlock(q, lock)
	})
}

func TestCloseEndsWaitsAndLeavesHeldLocksToTheirHolders(t *testing.T) {
	t.Parallel()
	onCluster(t, 3, func(q *quorumTest) {
		held := q.lock("held", redlock.WithKeepAlive())
		elsewhere := mustLock(q, q.rival, "elsewhere")
		pending := q.ours.LockAsync(context.Background(), "elsewhere")
		eventually(q, "the wait met the holder", func() bool { return q.Node(0).Stats().Commands >= 3 })

		err := q.ours.Close(context.Background())
		wantText(q, err, "1 locks are still held", "held")
		_, err = pending.Wait(context.Background())
		wantError(q, err, redlock.ErrClosed)
		wantError(q, context.Cause(held.Context()), redlock.ErrClosed)
		_, err = q.ours.TryLock(context.Background(), "another")
		wantError(q, err, redlock.ErrClosed)
		if n := q.carriers("held"); n < q.majority() {
			q.Errorf("%d nodes carry a lock that its holder has not released", n)
		}
		mustUnlock(q, held)
		mustUnlock(q, elsewhere)
	})
}

// A cancelled wait says so, and says what the last attempt failed with: neither hides
// the other.
func TestACancelledWaitMatchesTheContextAndNamesTheHolder(t *testing.T) {
	t.Parallel()
	onCluster(t, 3, func(q *quorumTest) {
		held := mustLock(q, q.rival, "job", redlock.WithKeepAlive())
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second) // enough for an attempt on a busy machine
		defer cancel()
		begun := time.Now()
		_, err := q.ours.Lock(ctx, "job", redlock.WithRetryDelay(time.Minute, time.Minute))
		wantError(q, err, context.DeadlineExceeded, redlock.ErrTaken)
		wantText(q, err, "by rival")
		if took := time.Since(begun); took > 10*time.Second {
			q.Errorf("the pause before the next attempt ignored the context: %v", took)
		}
		mustUnlock(q, held)
	})
}

// Unlock can be repeated after a failure, and only so long as it has not worked.
func TestAFailedUnlockCanBeRepeatedAndAConfirmedOneCannot(t *testing.T) {
	t.Parallel()
	onCluster(t, 3, func(q *quorumTest) {
		q.forever = true
		lock := q.lock("job")
		q.first(2, func(n *redlocktest.Node) { n.FailWith("ERR not now") })
		err := lock.Unlock(context.Background())
		wantError(q, err, redlock.ErrNoQuorum)
		wantText(q, err, "not now")
		q.endFaults()
		eventually(q, "a repeated unlock is confirmed", func() bool {
			err := lock.Unlock(context.Background())
			return err == nil || errors.Is(err, redlock.ErrNotHeld)
		})
		eventually(q, "all nodes are free", func() bool { return q.carriers("job") == 0 })
		next := mustLock(q, q.rival, "job")
		wantError(q, lock.Unlock(context.Background()), redlock.ErrNotHeld)
		eventually(q, "all nodes carry the next holder's lock", func() bool { return q.carriers("job") == 3 })
		mustUnlock(q, next)
	}, redlock.WithTTL(time.Hour), redlock.WithNodeTimeout(time.Second))
}
