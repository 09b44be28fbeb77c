package redlock

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

func TestEveryAttemptHasANonceOfItsOwn(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		f.nodes[0].Hold("job", "other", time.Second)
		f.unlock(f.lock("job"))
		seen := make(map[string]bool)
		for _, c := range f.nodes[0].Log() {
			if c.Does == "acquire" {
				if seen[c.Value] {
					t.Errorf("value %q was used for two attempts", c.Value)
				}
				seen[c.Value] = true
			}
		}
		if len(seen) < 4 {
			t.Errorf("only %d attempts in a second", len(seen))
		}
	})
}

// redsync HEAD: with one value for all attempts, the late release of the first
// attempt deletes the key of the second, and there are two holders.
func TestLateReleaseOfAnEarlyAttemptLeavesTheLaterOneAlone(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		// The first attempt is granted by a minority; its release on node 1 is
		// held up until long after the second attempt has won.
		f.nodes[1].Hold("job", "other", 100*time.Millisecond)
		f.nodes[2].Hold("job", "other", 100*time.Millisecond)
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrTaken)
		f.nodes[0].Set(fakenode.Faults{Delay: 300 * time.Millisecond})
		synctest.Wait()
		f.nodes[0].Set(fakenode.Faults{})
		time.Sleep(150 * time.Millisecond)
		k := f.lock("job")
		time.Sleep(time.Second)
		if _, err := f.TryLock(context.Background(), "job"); !errors.Is(err, ErrTaken) {
			t.Errorf("second holder: %v", err)
		}
		f.unlock(k)
	})
}

// Unlock returns when a majority is rid of the lock, so two of them in a row may
// leave it on different nodes for a short time: together a majority.
func TestLeftoversOfOwnLocksAreWaitedForAndNotTaken(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		slow := func(i int, d time.Duration) { f.nodes[i].Set(fakenode.Faults{Delay: d}) }
		slow(2, 30*time.Millisecond)
		first := f.lock("job") // reaches node 2 only after it was unlocked elsewhere
		synctest.Wait()
		f.unlock(first)
		slow(2, 0)
		second := f.lock("job")
		synctest.Wait()
		slow(1, 60*time.Millisecond) // what its release takes there
		f.unlock(second)
		synctest.Wait()
		slow(1, 0)
		slow(2, 60*time.Millisecond) // what the release of the first one takes there
		time.Sleep(40 * time.Millisecond)
		slow(2, 0)
		if f.nodes[1].Label("job") == "" || f.nodes[2].Label("job") == "" {
			t.Fatal("there are no leftovers to find")
		}

		start := time.Now()
		third, err := f.TryLock(context.Background(), "job")
		if err != nil {
			t.Fatalf("no other client wants it: %v", err)
		}
		if took := time.Since(start); took > 55*time.Millisecond {
			t.Errorf("took %v, and the leftovers were gone after 50ms", took)
		}
		f.unlock(third)
	})
}

func TestRemainsAreNotWaitedForWhereTheyAreNotWhatIsInTheWay(t *testing.T) {
	inBubble(t, 5, func(f *fixture) {
		for _, n := range f.nodes[1:3] {
			n.Hold("job", "other", time.Hour)
			n.Set(fakenode.Faults{Delay: 20 * time.Millisecond})
		}
		for _, n := range f.nodes[3:] {
			n.Set(fakenode.Faults{Error: "OOM command not allowed"})
		}
		time.AfterFunc(10*time.Millisecond, func() { // for the release
			f.nodes[0].Set(fakenode.Faults{Delay: 60 * time.Millisecond})
		})
		for range 2 {
			_, err := f.TryLock(context.Background(), "job")
			wantIs(t, err, ErrTaken)
			synctest.Wait()
			f.nodes[0].Set(fakenode.Faults{})
		}
		time.Sleep(time.Second)
		if got := f.nodes[0].Count("acquire"); got != 2 {
			t.Errorf("%d attempts, want one per TryLock", got)
		}
	})
}

func TestAnEmptyForeignValueIsNoRemainsOfOurs(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Hold("job", "", time.Hour)
		}
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrTaken)
		if want := "taken by foreign holder"; !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want %q", err, want)
		}
		synctest.Wait() // two denials decided; the first node may be the third to answer
		if got := f.nodes[0].Count("acquire"); got != 1 {
			t.Errorf("%d attempts, want one", got)
		}
	})
}

func TestRemainsThatDoNotGoAwayInTimeAreTaken(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		value := f.nodes[0].Get("job")
		f.unlock(k)
		synctest.Wait()
		for _, n := range f.nodes {
			n.Hold("job", value, time.Hour)
		}
		start := time.Now()
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrTaken)
		if took, limit := time.Since(start), 3*f.config.nodeTimeout; took > limit {
			t.Errorf("took %v, want %v at most", took, limit)
		}
		if want := `redlock: lock "job": lock is taken; on 2 of 3 nodes an earlier attempt of this Locker was not rolled back yet`; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		for _, n := range f.nodes {
			n.Delete("job")
		}
	})
}

func TestLeftoversAreNotWaitedForOnANodeThatIsSilent(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		synctest.Wait()
		f.nodes[2].Freeze()
		for _, n := range f.nodes[:2] {
			n.Set(fakenode.Faults{Delay: 30 * time.Millisecond})
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		wantIs(t, k.Unlock(ctx), context.DeadlineExceeded)
		for _, n := range f.nodes[:2] {
			n.Set(fakenode.Faults{})
		}
		start := time.Now()
		next, err := f.TryLock(context.Background(), "job")
		if err != nil {
			t.Fatalf("no other client wants it: %v", err)
		}
		if took := time.Since(start); took > 30*time.Millisecond {
			t.Errorf("took %v, and the nodes that answer were rid of the lock after 29ms", took)
		}
		f.unlock(next)
	})
}

func TestTakenOnTheFirstTryIsTriedAgain(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Hold("job", "other", 3*time.Second)
		}
		start := time.Now()
		f.unlock(f.lock("job"))
		if took := time.Since(start); took < 3*time.Second || took > 3250*time.Millisecond {
			t.Errorf("waited %v for a lock that was free after 3s", took)
		}
	})
}

func TestMaxTriesCountsAttemptsAndDoesNotSleepAfterTheLast(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Hold("job", "other", time.Hour)
		}
		start := time.Now()
		delay := WithRetryDelay(100*time.Millisecond, 100*time.Millisecond)
		_, err := f.Lock(context.Background(), "job", WithMaxTries(3), delay)
		wantIs(t, err, ErrTaken)
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Errorf("three tries took %v, want two pauses of 100ms", took)
		}
		synctest.Wait()
		// One more came when it had begun to listen for a release.
		if got := f.nodes[0].Count("acquire"); got != 4 {
			t.Errorf("%d attempts", got)
		}
	})
}

func TestCancelledWaitMatchesTheContextAndWhatTheLastAttemptMet(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Hold("job", "other", time.Hour)
		}
		why := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(333*time.Millisecond, func() { cancel(why) })
		start := time.Now()
		_, err := f.Lock(ctx, "job")
		if took := time.Since(start); took != 333*time.Millisecond {
			t.Errorf("noticed the end of its context after %v", took)
		}
		wantIs(t, err, context.Canceled, why, ErrTaken)

		_, err = f.Lock(context.Background(), "job", WithMaxWait(time.Second))
		wantIs(t, err, context.DeadlineExceeded, ErrTaken)
		if want := "on 2 of 3 nodes"; !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "foreign holder #") {
			t.Errorf("error %q", err)
		}
	})
}

func TestMinorityOfForeignKeysDoesNotVeto(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[1].Hold("job", "other", time.Hour)
		k := f.lock("job")
		f.unlock(k)
		f.nodes[1].Delete("job")
	})
}

func TestOneConnectionErrorDoesNotDefeatTheQuorum(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].Set(fakenode.Faults{Refuse: true})
		f.unlock(f.lock("job"))
	})
}

// node-redlock: two nodes, two clients, one vote each, for ever.
func TestSplitVoteOfTwoNodesSettles(t *testing.T) {
	inBubble(t, 2, func(f *fixture) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 50 {
					k, err := f.Lock(context.Background(), "job")
					if err != nil {
						t.Error(err)
						return
					}
					f.unlock(k)
				}
			})
		}
		wg.Wait()
	})
}

// A nearPool reaches its node at once, and hears late of it; or the other way round.
type nearPool struct {
	pool.Pool
	there, back time.Duration
}

func (p nearPool) Do(ctx context.Context, args ...any) (any, error) {
	time.Sleep(p.there)
	reply, err := p.Pool.Do(ctx, args...)
	time.Sleep(p.back)
	return reply, err
}

// Each of several callers has some of the nodes, and hears first of the others that it is
// taken. That denies a majority to all, and is no answer: nobody has the lock.
func TestOfCallersWhoSplitTheNodesOneGetsTheLock(t *testing.T) {
	for _, c := range []struct{ nodes, down, callers int }{{2, 0, 2}, {3, 1, 2}, {4, 0, 2}, {5, 0, 3}, {5, 1, 2}} {
		inBubble(t, c.nodes, func(f *fixture) {
			for _, n := range f.nodes[c.nodes-c.down:] {
				n.Set(fakenode.Faults{Refuse: true})
			}
			lockers := make([]*Locker, c.callers)
			for caller := range lockers {
				var pools []pool.Pool
				for i, node := range f.nodes {
					if i%c.callers == caller {
						pools = append(pools, nearPool{node, 0, 10 * time.Millisecond})
					} else {
						pools = append(pools, nearPool{node, 5 * time.Millisecond, 0})
					}
				}
				l, err := New(pools)
				if err != nil {
					t.Fatal(err)
				}
				l.group.Trust()
				lockers[caller] = l
				f.others = append(f.others, l)
			}
			for round := range 20 {
				locks, errs := make([]*Lock, c.callers), make([]error, c.callers)
				var all sync.WaitGroup
				for caller, l := range lockers {
					all.Go(func() { locks[caller], errs[caller] = l.TryLock(context.Background(), fmt.Sprint("job", round)) })
				}
				all.Wait()
				winners := 0
				for _, k := range locks {
					if k != nil {
						winners++
						f.unlock(k)
					}
				}
				if winners != 1 {
					t.Fatalf("%d callers, round %d: %v", c.callers, round, errs)
				}
			}
		})
	}
}

// node-redlock#369: own minority votes survive the retries and block them.
func TestVotesOfAFailedAttemptDoNotBlockTheNext(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].Set(fakenode.Faults{Refuse: true})
		f.nodes[1].Set(fakenode.Faults{Refuse: true})
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrNoQuorum)
		f.nodes[0].Set(fakenode.Faults{})
		f.nodes[1].Set(fakenode.Faults{})
		f.wantCarriers("job", 0)
		k, err := f.TryLock(context.Background(), "job")
		if err != nil {
			t.Fatal(err)
		}
		f.unlock(k)
	})
}

func TestGrantThatComesTooLateIsRolledBack(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 980 * time.Millisecond})
		}
		_, err := f.TryLock(context.Background(), "job", WithTTL(time.Second), WithNodeTimeout(990*time.Millisecond))
		if err != nil {
			t.Fatalf("8 ms are left: %v", err)
		}
		time.Sleep(10 * time.Second) // nobody unlocks it
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 989 * time.Millisecond})
		}
		_, err = f.TryLock(context.Background(), "job", WithTTL(time.Second), WithNodeTimeout(990*time.Millisecond))
		wantIs(t, err, ErrNoQuorum)
		if !strings.Contains(err.Error(), "too late") {
			t.Errorf("error %q does not say why", err)
		}
	})
}

// node-redlock#296: expiry was counted from the first attempt, so locks were born expired.
func TestValidityIsCountedFromTheAttemptThatWon(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Hold("job", "other", time.Minute)
		}
		k := f.lock("job")
		if left := time.Until(k.Until()); left != 7918*time.Millisecond {
			t.Errorf("%v left of a lock granted after a minute", left)
		}
		f.unlock(k)
	})
}

func TestWaitingGoesOnThroughOutagesThatPass(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Error: "LOADING Redis is loading the dataset in memory"})
		}
		time.AfterFunc(time.Minute, func() {
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{})
			}
		})
		f.unlock(f.lock("job"))
	})
}

func TestNodeThatHangsIsReportedBusyAndCountsAgainWhenItAnswers(t *testing.T) {
	var mu sync.Mutex
	var changes []string
	trace := &Trace{Node: func(node string, down bool) {
		mu.Lock()
		defer mu.Unlock()
		changes = append(changes, node+map[bool]string{true: " down", false: " up"}[down])
	}}
	inBubble(t, 3, func(f *fixture) {
		changes = nil
		f.nodes[0].Freeze()
		f.nodes[1].Freeze()
		for range 100 {
			_, err := f.TryLock(context.Background(), "job")
			wantIs(t, err, ErrNoQuorum)
			synctest.Wait()
		}
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrNoQuorum, ErrNodeBusy)
		f.nodes[0].Thaw()
		f.nodes[1].Thaw()
		f.unlock(f.lock("job"))
		mu.Lock()
		defer mu.Unlock()
		if len(changes) != 4 || !strings.HasSuffix(changes[0], "down") || !strings.HasSuffix(changes[3], "up") {
			t.Errorf("changes: %v", changes)
		}
	}, WithTrace(trace))
}

// A minority that fails does not cost anything, so nobody would notice that the
// next failure is one too many.
func TestNodeThatFailsIsReportedThoughAMajorityWorks(t *testing.T) {
	for name, faults := range map[string]fakenode.Faults{
		"refuses connections": {Refuse: true},
		"refuses commands":    {Error: "NOAUTH Authentication required."},
		"loses replies":       {LoseReplies: true},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var changes []bool
			trace := &Trace{Node: func(node string, down bool) {
				mu.Lock()
				defer mu.Unlock()
				if node == "node-2" {
					changes = append(changes, down)
				}
			}}
			inBubble(t, 3, func(f *fixture) {
				changes = nil
				k := f.lock("job", WithKeepAlive())
				f.nodes[1].Set(faults)
				time.Sleep(30 * time.Second)
				if held, _ := k.Held(); held != 2 {
					t.Errorf("held by %d nodes, and one has confirmed nothing for 30s", held)
				}
				f.nodes[1].Set(fakenode.Faults{})
				time.Sleep(30 * time.Second)
				if held, _ := k.Held(); held != 3 {
					t.Errorf("held by %d nodes after the recovery", held)
				}
				f.unlock(k)
				if held, _ := k.Held(); held != 0 {
					t.Errorf("held by %d nodes after Unlock", held)
				}
				mu.Lock()
				defer mu.Unlock()
				if len(changes) != 2 || !changes[0] || changes[1] {
					t.Errorf("changes %v, want down and up", changes)
				}
			}, WithTrace(trace))
		})
	}
}

func TestOneNodeThatIsDownDoesNotTurnTakenIntoNoQuorum(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		f.nodes[0].Set(fakenode.Faults{Refuse: true})
		f.nodes[2].Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrTaken)
		if want := "taken by me on 2 of 3 nodes"; !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want %q", err, want)
		}
		f.unlock(k)
	})
}

func TestTakenOnOneNodeIsNotTakenWithoutAMajorityOfAnswers(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].Hold("job", "other", time.Minute)
		f.nodes[1].Set(fakenode.Faults{Refuse: true})
		f.nodes[2].Freeze()
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrNoQuorum)
		if errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), "taken by foreign holder") {
			t.Errorf("error %q", err)
		}
	})
	inBubble(t, 2, func(f *fixture) { // one of two is enough to say no
		f.nodes[0].Hold("job", "other", time.Minute)
		f.nodes[1].Freeze()
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrTaken)
	})
}

func TestTryLockReturnsByTheNodeTimeout(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].Freeze()
		f.nodes[1].Freeze()
		start := time.Now()
		_, err := f.TryLock(context.Background(), "job", WithNodeTimeout(123*time.Millisecond))
		wantIs(t, err, ErrNoQuorum, context.DeadlineExceeded)
		if took := time.Since(start); took != 123*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

// Keys of two clients that crashed: nobody holds the lock, and nobody can have it.
func TestNodesThatStayDividedAreNoQuorum(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].Hold("job", "one", time.Hour)
		f.nodes[1].Hold("job", "another", time.Hour)
		f.nodes[1].Set(fakenode.Faults{Delay: time.Millisecond}) // all three have answered when it is decided
		start := time.Now()
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrNoQuorum)
		if errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), "held by nobody") {
			t.Errorf("error %q, want that nobody holds it", err)
		}
		if took, limit := time.Since(start), 4*f.config.nodeTimeout; took > limit {
			t.Errorf("took %v, want %v at most", took, limit)
		}
		f.nodes[0].Delete("job")
		f.nodes[1].Delete("job")
	})
}

// Where a node is down the other value may have a majority: then that is the answer.
func TestASplitThatMayHaveAHolderEndsAsTaken(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].Hold("job", "one", time.Hour)
		f.nodes[1].Set(fakenode.Faults{Refuse: true})
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrTaken)
		f.nodes[0].Delete("job")
		f.nodes[1].Set(fakenode.Faults{})
	})
}

// That half of an even number of nodes deny a lock is no split vote if the others do, too.
func TestALockThatIsHeldIsTakenAtOnceAlsoOnAnEvenNumberOfNodes(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5} {
		inBubble(t, n, func(f *fixture) {
			held := f.lock("job")
			synctest.Wait()
			other := mustNew(t, f)
			f.others = append(f.others, other)
			begun := time.Now()
			_, err := other.TryLock(context.Background(), "job")
			wantIs(t, err, ErrTaken)
			if took := time.Since(begun); took != 0 {
				t.Errorf("%d nodes: it took %v", n, took)
			}
			f.unlock(held)
		})
	}
}

func TestTryLockOfASplitVoteReportsTheEndOfItsContext(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for i, n := range f.nodes {
			n.Hold("job", fmt.Sprint("other ", i), time.Minute) // each of another attempt: no winner
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		_, err := f.TryLock(ctx, "job")
		wantIs(t, err, context.DeadlineExceeded)
		for _, n := range f.nodes {
			n.Delete("job")
		}
	})
}
