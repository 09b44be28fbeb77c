package quorum_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// Waiting with the real clients, Lua and pub/sub, in virtual time.

func TestInABubbleAReleaseWakesAWaiterOfAnotherLockerAtOnce(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		lock := q.lock("job")
		next := q.rival.LockAsync(context.Background(), "job", redlock.WithRetryDelay(3*time.Second, 3*time.Second))
		time.Sleep(time.Second)
		flags := 0
		for _, node := range q.Nodes() {
			if mark, _ := node.Get("{job}:wait"); mark != "" {
				flags++
			}
		}
		if flags < 2 { // the third may have been free when the waiter asked first
			q.Errorf("%d nodes have a waiter flag", flags)
		}
		begun := time.Now()
		mustUnlock(q, lock)
		lock, err := next.Wait(context.Background())
		if err != nil {
			q.Fatal(err)
		}
		if took := time.Since(begun); took != 0 {
			q.Errorf("woken after %v", took)
		}
		mustUnlock(q, lock)
	})
}

func TestInABubbleAHundredWaitersOfTwoLockersAreServedWithoutPolling(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		var waiters sync.WaitGroup
		begun := time.Now()
		for i := range 100 {
			waiters.Go(func() {
				locker := q.ours
				if i%2 == 0 {
					locker = q.rival
				}
				lock, err := locker.Lock(context.Background(), "job")
				if err != nil {
					q.Error(err)
					return
				}
				time.Sleep(5 * time.Millisecond)
				mustUnlock(q, lock)
			})
		}
		waiters.Wait()
		// 500ms of work, and a few retry delays at most.
		if took := time.Since(begun); took > 1500*time.Millisecond {
			q.Errorf("100 locks of 5ms took %v", took)
		}
	})
}
