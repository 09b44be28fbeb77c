package quorum_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
)

// Positions and waiter flags: how long they last, and which waiter owns them.

// subscriber is a Locker that is notified of releases.
func (l *queueTest) subscriber(owner string, opts ...redlock.Option) *redlock.Locker {
	var pools []pool.Pool
	for i := range 3 {
		pools = append(pools, goredis.New(l.client(i)))
	}
	locker, err := redlock.New(pools, append(opts, redlock.WithOwner(owner))...)
	if err != nil {
		l.Fatal(err)
	}
	l.lockers = append(l.lockers, locker)
	return locker
}

func (l *queueTest) mustTake(locker *redlock.Locker, opts ...redlock.LockOption) *redlock.Lock {
	l.Helper()
	k, err := locker.Lock(context.Background(), "job", opts...)
	if err != nil {
		l.Fatal(err)
	}
	return k
}

func (l *queueTest) mustWait(p *redlock.Pending) *redlock.Lock {
	l.Helper()
	k, err := p.Wait(context.Background())
	if err != nil {
		l.Fatal(err)
	}
	return k
}

func (l *queueTest) mustRelease(k *redlock.Lock) {
	l.Helper()
	if err := k.Unlock(context.Background()); err != nil {
		l.Fatal(err)
	}
}

// mustServeInOrder checks that the first waiter is served first.
func (l *queueTest) mustServeInOrder(first, second *redlock.Pending) {
	l.Helper()
	select {
	case <-first.Done():
	case <-second.Done():
		l.Error("the later waiter is served first")
	case <-time.After(time.Minute):
		l.Fatal("no waiter is served")
	}
	for _, p := range []*redlock.Pending{first, second} {
		select {
		case <-p.Done():
			l.mustRelease(l.mustWait(p))
		default:
			defer func() { l.mustRelease(l.mustWait(p)) }()
		}
	}
}

func TestAReleaseLeavesThePositionOfAWaiterThatCameAfterTheNodesForgotTheTickets(t *testing.T) {
	for name, held := range map[string]time.Duration{"unlocked": 5 * time.Second, "unlocked after it expired": 9 * time.Second} {
		withQueue(t, func(l *queueTest) {
			ctx := context.Background()
			one, two, other := l.subscriber("one", redlock.WithFair()), l.subscriber("two", redlock.WithFair()), l.subscriber("other", redlock.WithFair())
			k := l.mustTake(other)
			a := one.LockAsync(ctx, "job") // draws the first ticket
			time.Sleep(100 * time.Millisecond)
			l.mustRelease(k)
			old := l.mustWait(a)
			time.Sleep(held) // longer than two leases
			release := func() error { return old.Unlock(ctx) }
			if old.Context().Err() != nil {
				k = l.mustTake(other)
				release = func() error { _ = old.Unlock(ctx); time.Sleep(5 * time.Millisecond); return k.Unlock(ctx) }
			}
			first := one.LockAsync(ctx, "job")
			time.Sleep(500 * time.Millisecond) // all nodes know of it
			second := two.LockAsync(ctx, "job")
			time.Sleep(500 * time.Millisecond)
			if err := release(); err != nil {
				t.Fatal(name, err)
			}
			l.mustServeInOrder(first, second)
		})
	}
}

func TestAnInheritedPositionLastsForTheLeaseOfItsNewWaiter(t *testing.T) {
	patient := []redlock.LockOption{redlock.WithRetryDelay(9*time.Second, 9*time.Second), redlock.WithPlaceLease(time.Minute)}
	withQueue(t, func(l *queueTest) {
		ctx := context.Background()
		one, two := l.subscriber("one", redlock.WithFair()), l.subscriber("two", redlock.WithFair())
		l.mustTake(two, redlock.WithTTL(time.Second)) // and expires
		a := one.LockAsync(ctx, "job")                // its lease is 2 s
		first := one.LockAsync(ctx, "job", patient...)
		k := l.mustWait(a)
		time.Sleep(3 * time.Second)
		second := two.LockAsync(ctx, "job")
		time.Sleep(100 * time.Millisecond)
		l.mustRelease(k)
		l.mustServeInOrder(first, second)
	})
	withQueue(t, func(l *queueTest) { // so with the waiter flag
		ctx := context.Background()
		one, two := l.subscriber("one", redlock.WithFair()), l.subscriber("two", redlock.WithFair())
		l.mustTake(two, redlock.WithTTL(time.Second))
		a, next := one.LockAsync(ctx, "job"), one.LockAsync(ctx, "job", patient...)
		k := l.mustWait(a)
		time.Sleep(time.Second)
		begun := time.Now()
		l.mustRelease(k)
		l.mustRelease(l.mustWait(next))
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("the waiter is notified of the release after %v", took)
		}
	})
}

func TestAShortWaitRemovesNoFlagOfALongWait(t *testing.T) {
	for _, fair := range []bool{false, true} {
		withQueue(t, func(l *queueTest) {
			ctx := context.Background()
			var opts []redlock.LockOption
			if fair {
				opts = append(opts, redlock.WithFair())
			}
			holder, brief := l.subscriber("holder"), l.subscriber("brief")
			patient := l.subscriber("patient", redlock.WithRetryDelay(9*time.Second, 9*time.Second))
			k := l.mustTake(holder, redlock.WithTTL(time.Minute))
			watching, stop := context.WithCancel(ctx)
			defer stop()
			changes, err := patient.Watch(watching, "job")
			if err != nil {
				t.Fatal(err)
			}
			<-changes
			next := patient.LockAsync(ctx, "job", append(opts, redlock.WithPlaceLease(time.Minute))...)
			time.Sleep(time.Second)
			short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			_, _ = brief.Lock(short, "job", opts...)
			cancel()
			time.Sleep(time.Second)
			begun := time.Now()
			l.mustRelease(k)
			l.mustRelease(l.mustWait(next))
			if took := time.Since(begun); took > 100*time.Millisecond {
				t.Errorf("fair %t: the waiter is notified of the release after %v", fair, took)
			}
			if change := <-changes; time.Since(begun) > 100*time.Millisecond {
				t.Errorf("fair %t: the watch reports %v after %v", fair, change, time.Since(begun))
			}
		})
	}
}

func TestAWatchReportsNoReleaseWhereANodeThatIsDownMayHoldTheLock(t *testing.T) {
	withQueue(t, func(l *queueTest) {
		ctx := context.Background()
		a, b := l.subscriber("A"), l.subscriber("B")
		l.cluster.Node(2).Stop()
		k := l.mustTake(a)
		synctest.Wait() // until node 2 has refused
		if err := l.cluster.Node(2).Start(); err != nil {
			t.Fatal(err)
		}
		watching, stop := context.WithCancel(ctx)
		defer stop()
		changes, err := b.Watch(watching, "job")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		if change := <-changes; change.State.Holder != "A" {
			t.Errorf("%v", change)
		}
		l.cluster.Node(1).Stop()
		_, err = b.Inspect(ctx, "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "it is held on 1 of 2 nodes, and maybe on those that failed")
		time.Sleep(time.Second)
		select {
		case change := <-changes:
			if change.Kind == redlock.Released {
				t.Errorf("%v, and A has it for %v", change, time.Until(k.Until()))
			}
		default:
		}
		stop()
		if err := l.cluster.Node(1).Start(); err != nil {
			t.Fatal(err)
		}
		if err := k.Unlock(ctx); err != nil {
			t.Error(fmt.Errorf("the release: %w", err))
		}
	})
}
