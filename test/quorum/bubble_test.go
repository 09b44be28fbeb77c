package quorum_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// The real clients in virtual time: what is claimed about time is claimed to the
// millisecond, and an hour costs nothing.

func TestInABubbleOneFrozenNodeOfThreeCostsNoTimeAtAll(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		q.Node(0).Freeze()
		begun := time.Now()
		for range 20 {
			lock := q.lock("job")
			if err := lock.Extend(context.Background()); err != nil {
				q.Error(err)
			}
			mustUnlock(q, lock)
		}
		if took := time.Since(begun); took != 0 {
			q.Errorf("20 cycles took %v", took)
		}
	})
}

func TestInABubbleNoCallOutlivesItsContextWhateverTheClientDoes(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		held := q.lock("held")
		q.first(2, (*redlocktest.Node).Freeze)
		const patience = 70 * time.Millisecond // below the node timeout
		for name, call := range map[string]func(ctx context.Context) error{
			"Lock":    func(ctx context.Context) error { _, err := q.ours.Lock(ctx, "job"); return err },
			"TryLock": func(ctx context.Context) error { _, err := q.ours.TryLock(ctx, "job"); return err },
			"Extend":  held.Extend,
			"Unlock":  held.Unlock,
		} {
			if name == "Unlock" {
				continue // ends the lock: last
			}
			inTime(q, name, patience, call)
		}
		inTime(q, "Unlock", patience, held.Unlock)
	})
}

func inTime(q *quorumTest, name string, patience time.Duration, call func(ctx context.Context) error) {
	q.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	begun := time.Now()
	err := call(ctx)
	if took := time.Since(begun); took != patience || !errors.Is(err, context.DeadlineExceeded) {
		q.Errorf("%s: after %v of %v: %v", name, took, patience, err)
	}
}

func TestInABubbleTheContextEndsAtUntilWhileAMajorityHangs(t *testing.T) {
	inBubble(t, 5, func(q *quorumTest) {
		lock := q.lock("job", redlock.WithKeepAlive())
		time.Sleep(10 * time.Minute) // renewed 225 times
		if err := context.Cause(lock.Context()); err != nil {
			q.Fatalf("lost: %v", err)
		}
		q.first(3, (*redlocktest.Node).Freeze)
		<-lock.Context().Done()
		if late := time.Since(lock.Until()).Round(time.Millisecond); late != 0 {
			q.Errorf("the context ended %v after Until", late)
		}
		wantError(q, context.Cause(lock.Context()), redlock.ErrExpired)
		wantError(q, lock.Unlock(context.Background()), redlock.ErrNotHeld)
	})
}

// The nodes' clocks are an hour late and they still carry the lock, so they would
// all agree to an extension.
func TestInABubbleAnExtensionNeverRevivesALockThatEveryNodeStillCarries(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		lock := q.lock("job")
		for _, node := range q.Nodes() {
			node.JumpClock(-time.Hour)
		}
		time.Sleep(time.Until(lock.Until()))
		if n := q.carriers("job"); n != 3 {
			q.Fatalf("%d nodes carry the lock", n)
		}
		wantError(q, lock.Extend(context.Background()), redlock.ErrNotHeld, redlock.ErrExpired)
		wantError(q, lock.Unlock(context.Background()), redlock.ErrNotHeld)
		eventually(q, "the nodes are free", func() bool { return q.carriers("job") == 0 })
	})
}

func TestInABubbleARestartedNodeIsTakenAgainByTheNextRenewal(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		lock := q.lock("job", redlock.WithKeepAlive())
		for range 30 {
			for _, node := range q.Nodes() {
				if err := node.StartEmpty(); err != nil {
					q.Fatal(err)
				}
				// Two renewals: a connection that the restart broke may cost one.
				time.Sleep(6 * time.Second)
				if n := q.carriers("job"); n != 3 {
					q.Fatalf("%d nodes carry the lock", n)
				}
			}
		}
		mustUnlock(q, lock)
	})
}

// A bubble ends only when its last goroutine has: hundreds of them, each with a
// fault of its own, leave none.
func TestHundredsOfBubblesWithFaultsLeaveNoKeyAndNoGoroutine(t *testing.T) {
	withEach(t, func(t *testing.T, lib library) {
		for n := range rounds(10, 50) {
			seed := lib.Seed(n)
			synctest.Test(t, func(t *testing.T) {
				cluster := redlocktest.NewInMemory(t, 3)
				q := newQuorumTest(t, lib, cluster, cluster.Dial, redlock.WithTTL(2*time.Second))
				random := rand.New(rand.NewPCG(seed, 0))
				disturb(q, random)
				workOnce(q, random)
				q.endFaults()
				mustUnlock(q, q.lock("job")) // progress resumes when the faults stop
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			})
			if t.Failed() {
				return
			}
		}
	})
}

// disturb ends the faults and gives each master a new one, or none.
func disturb(q *quorumTest, random *rand.Rand) {
	q.endFaults()
	for _, node := range q.Nodes() {
		switch random.IntN(9) {
		case 0:
			node.Freeze()
		case 1:
			node.Stop()
		case 2:
			node.DropReplies(true)
		case 3:
			node.DropRequests(true)
		case 4:
			node.Delay(time.Duration(random.IntN(600)) * time.Millisecond)
		}
	}
}

// workOnce lets both Lockers try to work at the same time: never both do.
func workOnce(q *quorumTest, random *rand.Rand) {
	holders, done := 0, make(chan struct{})
	worker := func(locker *redlock.Locker, patience, work time.Duration) {
		defer func() { done <- struct{}{} }()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		lock, err := locker.Lock(ctx, "job")
		if err != nil {
			return
		}
		if holders++; holders != 1 {
			q.Errorf("%d holders", holders)
		}
		select {
		case <-lock.Context().Done():
		case <-time.After(work):
		}
		holders--
		_ = lock.Unlock(context.Background())
	}
	for _, locker := range []*redlock.Locker{q.ours, q.rival} {
		go worker(locker, time.Duration(random.IntN(1000))*time.Millisecond, time.Duration(random.IntN(3000))*time.Millisecond)
	}
	<-done
	<-done
}
