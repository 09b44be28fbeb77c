package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// Semaphores, with the real clients, Lua and pub/sub, in virtual time.

func (q *quorumTest) semaphore(l *redlock.Locker, slots int) *semaphore.Semaphore {
	q.Helper()
	s, err := semaphore.New(l, "jobs", slots)
	if err != nil {
		q.Fatal(err)
	}
	return s
}

func TestInABubbleASemaphoreHasNoMoreHoldersThanSlots(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		const slots = 3
		s := []*semaphore.Semaphore{q.semaphore(q.ours, slots), q.semaphore(q.rival, slots)}
		var held []*semaphore.Permit
		for i := range slots {
			p, err := s[i%2].TryAcquire(background, redlock.WithFencing())
			if err != nil {
				q.Fatal(err)
			}
			for _, other := range held {
				if other.Slot() == p.Slot() {
					q.Errorf("two have slot %d", p.Slot())
				}
			}
			held = append(held, p)
		}
		_, err := s[0].TryAcquire(background)
		var taken *redlock.QuorumError
		if !errors.Is(err, redlock.ErrTaken) || !errors.As(err, &taken) || len(taken.Holders) == 0 {
			q.Errorf("%v, want that all are taken, and by whom", err)
		}
		time.Sleep(time.Second)
		states, err := s[1].Inspect(background)
		if err != nil || len(states) != slots || states[0].Holder == "" || states[2].Nodes < 2 {
			q.Errorf("%+v, %v", states, err)
		}
		for _, p := range held {
			if err := p.Extend(background); err != nil {
				q.Error(err)
			}
			slot, token := p.Slot(), p.Token()
			if err := p.Release(background); err != nil {
				q.Error(err)
			}
			next, err := s[1].TryAcquire(background, redlock.WithFencing())
			if err != nil {
				q.Fatal(err)
			}
			if next.Slot() != slot || next.Token() <= token {
				q.Errorf("slot %d with token %d after slot %d with token %d", next.Slot(), next.Token(), slot, token)
			}
			defer func() {
				if err := next.Release(background); err != nil {
					q.Error(err)
				}
			}()
		}
	})
}

func TestInABubbleAReleasedSemaphoreLeavesNothing(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		s := q.semaphore(q.ours, 3)
		for range 10 {
			p, err := s.Acquire(background)
			if err != nil {
				q.Fatal(err)
			}
			if err := p.Release(background); err != nil {
				q.Error(err)
			}
		}
		within(q, time.Second, "all keys are gone", func() bool { return q.carriers("jobs/0")+q.carriers("jobs/1")+q.carriers("jobs/2") == 0 })
	})
}

// Many callers, few slots: never more than there are, and nobody waits for long.
func TestInABubbleCallersShareTheSlots(t *testing.T) {
	for _, fair := range []bool{false, true} {
		t.Run(fmt.Sprintf("fair=%v", fair), func(t *testing.T) {
			inBubble(t, 3, func(q *quorumTest) {
				const slots, callers = 3, 6
				opts := []redlock.LockOption{redlock.WithFencing()}
				if fair {
					opts = append(opts, redlock.WithFair())
				}
				s := []*semaphore.Semaphore{q.semaphore(q.ours, slots), q.semaphore(q.rival, slots)}
				var mu sync.Mutex
				inside, most, tokens := make(map[int]bool), 0, make(map[int]uint64)
				var longest time.Duration
				end := time.Now().Add(800 * time.Millisecond)
				var all sync.WaitGroup
				granted := 0
				for i := range callers {
					all.Go(func() {
						for time.Now().Before(end) {
							begun := time.Now()
							p, err := s[i%2].Acquire(background, opts...)
							if err != nil {
								q.Error(err)
								return
							}
							mu.Lock()
							longest = max(longest, time.Since(begun))
							if inside[p.Slot()] || p.Token() <= tokens[p.Slot()] {
								q.Errorf("slot %d is held: %v, token %d after %d", p.Slot(), inside[p.Slot()], p.Token(), tokens[p.Slot()])
							}
							inside[p.Slot()], tokens[p.Slot()] = true, p.Token()
							most = max(most, len(inside))
							granted++
							mu.Unlock()
							time.Sleep(40 * time.Millisecond)
							mu.Lock()
							delete(inside, p.Slot())
							mu.Unlock()
							if err := p.Release(background); err != nil {
								q.Error(err)
							}
						}
					})
				}
				all.Wait()
				q.Logf("%d permits, %d at once, the longest wait %v", granted, most, longest)
				if most != slots || longest > time.Second {
					q.Errorf("%d at once of %d, the longest wait %v", most, slots, longest)
				}
			})
		})
	}
}

func TestInABubbleTheNumberOfSlotsChangesWhileTheyAreUsed(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		small, large := q.semaphore(q.ours, 1), q.semaphore(q.rival, 2)
		p, err := small.TryAcquire(background)
		if err != nil || p.Slot() != 0 {
			q.Fatal(p, err)
		}
		other, err := large.TryAcquire(background)
		if err != nil || other.Slot() != 1 {
			q.Fatal(other, err)
		}
		if _, err := large.TryAcquire(background); !errors.Is(err, redlock.ErrTaken) {
			q.Error(err)
		}
		if err := other.Release(background); err != nil {
			q.Error(err)
		}
		if _, err := small.TryAcquire(background); !errors.Is(err, redlock.ErrTaken) {
			q.Error(err)
		}
		if err := p.Release(background); err != nil {
			q.Error(err)
		}
	})
}

func TestASemaphoreThatCannotBeIsRefused(t *testing.T) {
	inBubble(t, 1, func(q *quorumTest) {
		for _, slots := range []int{-1, 0, 257} {
			if _, err := semaphore.New(q.ours, "jobs", slots); err == nil {
				q.Errorf("%d slots are not refused", slots)
			}
		}
		if _, err := semaphore.New(q.ours, "", 3); err == nil {
			q.Error("an empty name is not refused")
		}
		if _, err := semaphore.New(nil, "jobs", 3); err == nil {
			q.Error("no Locker is not refused")
		}
	})
}

// The lock of the semaphore's name is another lock. That of the slot is the slot.
func TestInABubbleTheHolderOfASlotTakesALockOfTheNameOfTheSemaphore(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		p, err := q.semaphore(q.ours, 2).Acquire(background)
		if err != nil {
			q.Fatal(err)
		}
		lock, err := q.ours.Lock(p.Context(), "jobs")
		if err != nil {
			q.Fatal(err)
		}
		mustUnlock(q, lock)
		if _, err := q.ours.Lock(p.Context(), fmt.Sprint("jobs/", p.Slot())); !errors.Is(err, redlock.ErrTaken) {
			q.Errorf("%v, want that it would wait for itself", err)
		}
		if err := p.Release(background); err != nil {
			q.Error(err)
		}
	})
}

func TestInABubbleLargeDataUnderTheNameOfASlotCountsAsTaken(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		for _, n := range q.Nodes() {
			n.Hold("jobs/0", strings.Repeat("x", 600), time.Hour)
		}
		s := q.semaphore(q.ours, 2)
		p, err := s.Acquire(background)
		if err != nil || p.Slot() != 1 {
			q.Fatal(p, err)
		}
		if _, err := s.TryAcquire(background); !errors.Is(err, redlock.ErrTaken) {
			q.Errorf("%v, want that all are taken", err)
		}
		if err := p.Release(background); err != nil {
			q.Error(err)
		}
	})
}

// Who may take one of more slots does not wait for the slots of those who have fewer.
func TestInABubbleACallerWithMoreSlotsDoesNotWaitBehindOneWithFewer(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		small, large := q.semaphore(q.ours, 1), q.semaphore(q.ours, 3)
		p, err := small.Acquire(background, redlock.WithKeepAlive())
		if err != nil {
			q.Fatal(err)
		}
		ctx, stop := context.WithTimeout(background, time.Minute)
		defer stop()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := small.Acquire(ctx); !errors.Is(err, context.Canceled) {
				q.Errorf("%v, want that it waits for the only slot", err)
			}
		})
		time.Sleep(time.Second)
		other, err := large.Acquire(ctx)
		if err != nil {
			q.Fatal(err)
		}
		stop()
		all.Wait()
		for _, each := range []*semaphore.Permit{p, other} {
			if err := each.Release(background); err != nil {
				q.Error(err)
			}
		}
	})
}

// Contenders have each slot on one node of the two that are up, and none has a majority. They go
// meanwhile: the last of them, who asks again, has a slot.
func TestInABubbleOneOfSeveralThatSplitTheNodesIsGrantedASlot(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		nodes := q.Nodes()
		nodes[0].Stop()
		nodes[1].Hold("jobs/0", "a contender", 50*time.Millisecond)
		nodes[2].Hold("jobs/0", "a second one", 50*time.Millisecond)
		nodes[2].Hold("jobs/1", "a third one", 50*time.Millisecond)
		p, err := q.semaphore(q.ours, 2).TryAcquire(background)
		if err != nil {
			q.Fatal(err)
		}
		if err := p.Release(background); err != nil {
			q.Error(err)
		}
	})
}

// A waiter that was granted a slot is in nobody's way on a node that was down meanwhile.
func TestInABubbleAWaiterThatWasGrantedASlotLeavesTheQueueOnEveryNode(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		opts := []redlock.LockOption{redlock.WithFair(), redlock.WithPlaceLease(time.Minute), redlock.WithKeepAlive()}
		s, other := q.semaphore(q.ours, 2), q.semaphore(q.rival, 2)
		var held [2]*semaphore.Permit
		for i := range held {
			p, err := other.Acquire(background, opts...)
			if err != nil {
				q.Fatal(err)
			}
			held[i] = p
		}
		granted := make(chan *semaphore.Permit, 1)
		go func() {
			p, err := s.Acquire(background, opts...)
			if err != nil {
				q.Error(err)
			}
			granted <- p
		}()
		time.Sleep(time.Second) // every node has its position
		q.Node(2).Stop()
		if err := held[0].Release(background); err != nil {
			q.Error(err)
		}
		p := <-granted
		if err := q.Node(2).Start(); err != nil {
			q.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		q.Node(0).Stop()
		if err := held[1].Release(background); err != nil {
			q.Error(err)
		}
		begun := time.Now()
		next, err := other.Acquire(background, opts...)
		if err != nil {
			q.Fatal(err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			q.Errorf("it waited for %v", took)
		}
		if err := q.Node(0).Start(); err != nil {
			q.Fatal(err)
		}
		for _, each := range []*semaphore.Permit{p, next} {
			if err := each.Release(background); err != nil {
				q.Error(err)
			}
		}
	})
}
