package quorum_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// oncePerTick is that of the examples of package redlock.
func oncePerTick(ctx context.Context, locker *redlock.Locker, every time.Duration, job func(context.Context) error) error {
	err := locker.Do(ctx, "nightly-backup", job, redlock.WithMinHold(every/2), redlock.WithMaxTries(1))
	if errors.Is(err, redlock.ErrTaken) {
		return nil // another instance runs it, or has run it
	}
	return err
}

// Three instances whose clocks differ by 200 ms, a job of a millisecond, for half a minute.
func TestInABubbleAJobOfAllInstancesRunsOncePerTick(t *testing.T) {
	const ticks, every = 30, time.Second
	withTwo(t, func(t *testing.T, lib library) {
		bubble(t, lib, func(t *testing.T) {
			cluster := redlocktest.NewInMemory(t, 3)
			var ran [ticks]atomic.Int32
			begin := time.Now()
			var all sync.WaitGroup
			for _, behind := range []time.Duration{0, 70 * time.Millisecond, 200 * time.Millisecond} {
				locker := lib.NewLocker(t, cluster.Addrs(), cluster.Dial)
				all.Go(func() {
					defer settle(t, locker)
					for tick := range ticks {
						time.Sleep(time.Until(begin.Add(time.Duration(tick)*every + behind)))
						if err := oncePerTick(t.Context(), locker, every, func(context.Context) error {
							ran[tick].Add(1)
							time.Sleep(time.Millisecond)
							return nil
						}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			for tick := range ticks {
				if n := ran[tick].Load(); n != 1 {
					t.Errorf("tick %d: it ran %d times", tick, n)
				}
			}
		})
	})
}

func TestInABubbleWaitersInTheQueueAreServedWhenTheMinHoldHasPassed(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		begun := time.Now()
		held := q.lock("job", redlock.WithFair(), redlock.WithMinHold(3*time.Second))
		var waiters sync.WaitGroup
		for _, l := range []*redlock.Locker{q.ours, q.rival} {
			waiters.Go(func() {
				next, err := l.Lock(q.Context(), "job", redlock.WithFair())
				if err != nil {
					q.Error(err)
					return
				}
				if waited := time.Since(begun); waited < 3*time.Second || waited > 4*time.Second {
					q.Errorf("one is served after %v", waited)
				}
				mustUnlock(q, next)
			})
		}
		time.Sleep(time.Second)
		mustUnlock(q, held)
		waiters.Wait()
	})
}

// A node that did not grant the lock has the waiter's position in the queue. A release would
// give that up, too; a key that stays has none.
func TestInABubbleALockWithoutAReleaseLeavesNoPositionInTheQueueBehind(t *testing.T) {
	for name, giveUp := range map[string]func(q *quorumTest, lock *redlock.Lock){
		"unlocked": mustUnlockOf,
		"handed over": func(q *quorumTest, lock *redlock.Lock) {
			handle, err := lock.Handle()
			if err != nil {
				q.Fatal(err)
			}
			there, err := q.rival.Attach(q.Context(), handle)
			if err != nil {
				q.Fatal(err)
			}
			mustUnlock(q, there)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(q *quorumTest) {
				for _, i := range []int{0, 1} {
					q.Node(i).Hold("job", "foreign", time.Hour)
				}
				p := q.ours.LockAsync(q.Context(), "job", redlock.WithFair(), redlock.WithPlaceLease(time.Minute), redlock.WithMinHold(2*time.Second))
				time.Sleep(time.Second)
				q.Node(1).Delete("job")
				lock, err := p.Wait(q.Context())
				if err != nil {
					q.Fatal(err)
				}
				giveUp(q, lock)
				q.Node(0).Delete("job")
				time.Sleep(3 * time.Second)
				for i, node := range q.Nodes() {
					for _, key := range node.Keys() {
						if key == "{job}:queue" {
							q.Errorf("node %d keeps the position", i)
						}
					}
				}
				mustUnlock(q, mustLock(q, q.rival, "job", redlock.WithFair()))
			})
		})
	}
}

func mustUnlockOf(q *quorumTest, lock *redlock.Lock) { mustUnlock(q, lock) }
