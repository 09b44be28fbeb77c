package redlock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// mustHaveNoWaiters checks that no caller is in a wait queue or subscribed any more.
func (f *fixture) mustHaveNoWaiters() {
	f.t.Helper()
	used, _, channels := f.hub.Sizes()
	if used != 0 {
		f.t.Errorf("%d wait queues are in use", used)
	}
	if channels != 0 {
		f.t.Errorf("%d channels are subscribed to", channels)
	}
}

// acquires counts the attempts that reached a node.
func acquires(n *fakenode.Node) int { return n.Count("acquire") }

func TestCallersOfOneLockerAreServedInOrderOfArrival(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		var mu sync.Mutex
		var served, want []int
		var all sync.WaitGroup
		for i := range 100 {
			want = append(want, i)
			all.Go(func() {
				k, err := f.Lock(context.Background(), "job")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				served = append(served, i)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				f.unlock(k)
			})
			synctest.Wait()
		}
		start := time.Now()
		all.Wait()
		if !slices.Equal(served, want) {
			t.Errorf("served in the order %v", served)
		}
		if took := time.Since(start); took > 150*time.Millisecond {
			t.Errorf("100 locks of 1ms took %v", took)
		}
		f.mustHaveNoWaiters()
	})
}

// redsync: deadline exceeded for most of 5,000 goroutines on one key.
func TestFiveThousandCallersCostTheNodesOneCallersWorth(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		const callers = 5000
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				k, err := f.Lock(context.Background(), "job")
				if err != nil {
					t.Error(err)
					return
				}
				f.unlock(k)
			})
		}
		all.Wait()
		synctest.Wait()
		for _, n := range f.nodes {
			if got := len(n.Log()); got > 2*callers+10 {
				t.Errorf("%d commands for %d locks", got, callers)
			}
		}
		f.mustHaveNoWaiters()
	})
}

func TestCancelledCallerLeavesTheWaitQueueAtOnce(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				mine := context.Background()
				if i%2 == 1 {
					mine = ctx
				}
				k, err := f.Lock(mine, "job")
				if i%2 == 1 {
					wantIs(t, err, context.Canceled, ErrTaken)
					if want := "lock is taken by me; "; !strings.Contains(fmt.Sprint(err), want) {
						t.Errorf("error %q", err)
					}
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				f.unlock(k)
			})
			synctest.Wait()
		}
		before := acquires(f.nodes[0])
		cancel()
		synctest.Wait()
		f.unlock(k)
		all.Wait()
		synctest.Wait()
		if got := acquires(f.nodes[0]) - before; got != 3 {
			t.Errorf("%d attempts, want one for each that stayed", got)
		}
		f.mustHaveNoWaiters()
	})
}

func TestTriesAreSpentBehindTheHeadToo(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithTTL(time.Minute))
		before := acquires(f.nodes[0])
		start := time.Now()
		_, err := f.Lock(context.Background(), "job", WithMaxTries(3), WithRetryDelay(100*time.Millisecond, 100*time.Millisecond))
		wantIs(t, err, ErrTaken)
		var q *QuorumError
		if !errors.As(err, &q) || q.Name != "job" || q.Total != 3 {
			t.Errorf("error %#v", err)
		}
		if took := time.Since(start); took != 300*time.Millisecond || acquires(f.nodes[0]) != before {
			t.Errorf("took %v and %d attempts, want none in 300ms", took, acquires(f.nodes[0])-before)
		}
		f.unlock(k)
	})
}

func TestNextWaiterTakesOverWhenTheLockEndsByItself(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(f *fixture, k *Lock)
		within time.Duration
	}{
		"expired, and nobody looked": {func(*fixture, *Lock) {}, 8*time.Second + 250*time.Millisecond},
		"lost": {func(f *fixture, k *Lock) {
			for _, n := range f.nodes {
				n.Delete("job")
			}
			wantIs(f.t, k.Extend(context.Background()), ErrNotHeld)
		}, 10 * time.Millisecond},
		"discarded": {func(f *fixture, k *Lock) { k.discard() }, 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				first := f.lock("job")
				next := f.LockAsync(context.Background(), "job")
				synctest.Wait()
				start := time.Now()
				c.end(f, first)
				k, err := next.Wait(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took > c.within {
					t.Errorf("took %v", took)
				}
				f.unlock(k)
				f.mustHaveNoWaiters()
			})
		})
	}
}

func TestUnlockThatIsNotConfirmedMakesTheNextWaiterTheHead(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		next := f.LockAsync(context.Background(), "job")
		synctest.Wait()
		short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Delay: 2 * time.Millisecond})
		}
		wantIs(t, k.Unlock(short), context.DeadlineExceeded)
		second, err := next.Wait(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		wantIs(t, k.Unlock(context.Background()), nil)
		before := acquires(f.nodes[0])
		third := f.LockAsync(context.Background(), "job")
		synctest.Wait()
		if acquires(f.nodes[0]) != before {
			t.Error("the repeated Unlock took another caller out of the wait queue")
		}
		f.unlock(second)
		k, err = third.Wait(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		f.unlock(k)
		f.mustHaveNoWaiters()
	})
}

func TestCloseEndsTheWholeWaitQueue(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		var waits []*Pending
		for range 10 {
			waits = append(waits, f.LockAsync(context.Background(), "job"))
		}
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			f.Close(context.Background())
		}()
		for _, p := range waits {
			_, err := p.Wait(context.Background())
			wantIs(t, err, ErrClosed)
		}
		k.Unlock(context.Background())
		<-closed
		f.mustHaveNoWaiters()
	})
}

// The next waiter of the queue is notified of a release first, and would win every time.
func TestAnotherLockerIsNotStarvedByAWaitQueue(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		other := mustNew(t, f)
		defer other.Close(context.Background())
		var queue sync.WaitGroup
		ctx, cancel := context.WithCancel(context.Background())
		for range 1000 {
			queue.Go(func() {
				k, err := f.Lock(ctx, "job")
				if err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
				f.unlock(k)
			})
		}
		synctest.Wait()
		for range 5 {
			start := time.Now()
			k, err := other.Lock(context.Background(), "job")
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("waited %v behind a queue of 1000 with 5ms each", took)
			}
			f.unlock(k)
		}
		cancel()
		queue.Wait()
	})
}

func TestAWaitQueueThatNoOtherLockerWaitsBesideDoesNotPause(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		start := time.Now()
		var queue sync.WaitGroup
		for range 80 {
			queue.Go(func() { f.unlock(f.mustLock("job")) })
		}
		queue.Wait()
		if took := time.Since(start); took > 10*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if got := f.nodes[0].Published("{job}:wake"); got != 0 {
			t.Errorf("%d messages to no waiter", got)
		}
	})
}

// mustLock is f.lock for goroutines that are not the bubble's first.
func (f *fixture) mustLock(name string) *Lock {
	k, err := f.Lock(context.Background(), name)
	if err != nil {
		f.t.Error(err)
	}
	return k
}

func TestAWaitOnAnotherLockerEndsWithTheHoldersTTL(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.lock("job", WithTTL(time.Second)) // nobody unlocks it
		other := mustNew(t, f)
		defer other.Close(context.Background())
		start := time.Now()
		k, err := other.Lock(context.Background(), "job", WithRetryDelay(400*time.Millisecond, 410*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		// Attempts come at 0, at about 400 and 800ms, and when the keys are gone.
		if took := time.Since(start); took < time.Second || took > 1050*time.Millisecond {
			t.Errorf("took %v", took)
		}
		f.unlock(k)
	})
}

func TestReleaseIsPublishedIfAnotherLockerWaits(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		other := mustNew(t, f)
		defer other.Close(context.Background())
		next := other.LockAsync(context.Background(), "job")
		time.Sleep(time.Second) // it asked again, and left its flag
		f.unlock(k)
		synctest.Wait()
		for _, n := range f.nodes {
			if got := n.Published("{job}:wake"); got != 1 {
				t.Errorf("%d messages, want 1", got)
			}
		}
		k, err := next.Wait(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		f.unlock(k)
	})
}

// Contenders that roll back their attempts would wake each other for ever.
func TestUndoneAttemptIsNotPublished(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[1].Hold("job", "other", time.Minute)
		f.nodes[2].Hold("job", "other", time.Minute)
		f.nodes[0].Hold("{job}:wait", "another", time.Minute)
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrTaken)
		synctest.Wait()
		if got := f.nodes[0].Count("release"); got != 1 {
			t.Errorf("%d releases", got)
		}
		if got := f.nodes[0].Published("{job}:wake"); got != 0 {
			t.Errorf("%d messages", got)
		}
	})
}

// A caller behind the head has met what the head met.
func TestInAnOutageNoWaiterGetsErrTaken(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Refuse: true})
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				_, err := f.Lock(ctx, "job")
				wantIs(t, err, context.DeadlineExceeded, ErrNoQuorum)
				if errors.Is(err, ErrTaken) {
					t.Errorf("error %v", err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
	})
}

func TestAPanicOfATraceLeavesNoCallerWaiting(t *testing.T) {
	trace := &Trace{Round: func(r RoundInfo) {
		if r.Err != nil {
			panic("trace")
		}
	}}
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Hold("job", "other", time.Second)
		}
		func() {
			defer func() { recover() }()
			f.Lock(context.Background(), "job")
			t.Error("there was no panic")
		}()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		k, err := f.Lock(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		f.unlock(k)
	}, WithTrace(trace))
}

// A caller that takes the lock again and again is in no wait queue in between.
func TestAnotherLockerIsNotStarvedByALoop(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{DropMessages: true}) // the other gets no message, and has to ask
		}
		other := mustNew(t, f)
		f.others = append(f.others, other)
		ctx, cancel := context.WithCancel(context.Background())
		var loop sync.WaitGroup
		loop.Go(func() {
			for ctx.Err() == nil {
				if k, err := f.Lock(ctx, "job"); err == nil {
					time.Sleep(50 * time.Millisecond)
					f.unlock(k)
				}
			}
		})
		time.Sleep(time.Second)
		for range 5 {
			start := time.Now()
			k, err := other.Lock(context.Background(), "job")
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("waited %v", took)
			}
			f.unlock(k)
		}
		cancel()
		loop.Wait()
	})
}

func TestOtherWaitersThatAreGoneAreForgotten(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		for i := range 1000 {
			name := fmt.Sprint("job", i)
			k := f.lock(name)
			f.nodes[0].Hold("{"+name+"}:wait", "another.1", time.Second)
			f.unlock(k)
			time.Sleep(time.Second)
		}
		if _, idle, _ := f.hub.Sizes(); idle == 0 || idle > 128 {
			t.Errorf("%d wait queues without a caller", idle)
		}
	})
}
