package quorum_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// A fair waiter is often granted by some node while the others deny it. The grant has to be
// rolled back, and the waiter goes back into the queue. Here X waits, a majority has registered
// it, and then Y comes: X is to be served first.

// A queueTest is three masters in memory, in virtual time, and Lockers that want one lock.
type queueTest struct {
	*testing.T
	cluster *redlocktest.Cluster
	clients []*redis.Client
	lockers []*redlock.Locker
	look    []*redis.Client // to each master, for the test itself
}

func withQueue(t *testing.T, test func(l *queueTest)) {
	synctest.Test(t, func(t *testing.T) {
		l := &queueTest{T: t, cluster: redlocktest.NewInMemory(t, 3)}
		for i := range 3 {
			l.look = append(l.look, l.client(i))
		}
		test(l)
		for _, locker := range l.lockers {
			if err := locker.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}
		for _, c := range l.clients {
			c.Close()
		}
		time.Sleep(2 * time.Second) // what dials still goes on
	})
}

func (l *queueTest) client(i int) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: l.cluster.Addrs()[i], Dialer: l.cluster.Dial, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	l.clients = append(l.clients, c)
	return c
}

// An intercepted pool has no subscriptions. An error of before replaces the answer.
type intercepted struct {
	pool.Pool
	before func(ctx context.Context, args []any) error
}

func (i intercepted) Do(ctx context.Context, args ...any) (any, error) {
	if err := i.before(ctx, args); err != nil {
		return nil, err
	}
	return i.Pool.Do(ctx, args...)
}

func (l *queueTest) locker(owner string, before func(ctx context.Context, node int, args []any) error, opts ...redlock.Option) *redlock.Locker {
	var pools []pool.Pool
	for i := range 3 {
		pools = append(pools, intercepted{goredis.New(l.client(i)), func(ctx context.Context, args []any) error { return before(ctx, i, args) }})
	}
	locker, err := redlock.New(pools, append(opts, redlock.WithFair(), redlock.WithOwner(owner), redlock.WithRetryDelay(400*time.Millisecond, 400*time.Millisecond))...)
	if err != nil {
		l.Fatal(err)
	}
	l.lockers = append(l.lockers, locker)
	return locker
}

func undisturbed(context.Context, int, []any) error { return nil }

func (l *queueTest) key(node int) string { return l.look[node].Get(context.Background(), "job").Val() }

// until returns when key 0 is as wanted.
func (l *queueTest) until(wanted func(key string) bool) {
	l.Helper()
	for begun := time.Now(); !wanted(l.key(0)); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			l.Fatalf("the key of the first node stays %q", l.key(0))
		}
	}
}

// mustServe lets Y come after X, and checks that X is served first.
func (l *queueTest) mustServe(x *redlock.Pending, y *redlock.Locker) {
	l.Helper()
	ctx := context.Background()
	var mu sync.Mutex
	var served []string
	serve := func(name string, k *redlock.Lock, err error) {
		if err != nil {
			l.Error(err)
			return
		}
		mu.Lock()
		served = append(served, name)
		mu.Unlock()
		time.Sleep(time.Second)
		if err := k.Unlock(ctx); err != nil {
			l.Error(err)
		}
	}
	var both sync.WaitGroup
	both.Go(func() { k, err := y.Lock(ctx, "job"); serve("Y", k, err) })
	both.Go(func() { k, err := x.Wait(ctx); serve("X", k, err) })
	both.Wait()
	if len(served) != 2 || served[0] != "X" {
		l.Errorf("served: %v", served)
	}
}

func TestOneLostReleaseOfAGrantLosesNoPosition(t *testing.T) {
	withQueue(t, func(l *queueTest) {
		ctx := context.Background()
		var lose atomic.Bool
		z, y := l.locker("Z", undisturbed), l.locker("Y", undisturbed)
		x := l.locker("X", func(_ context.Context, node int, args []any) error {
			if node == 0 && args[len(args)-1] == "requeue" && slices.Contains(args, any(l.key(0))) && lose.Swap(false) {
				return pool.Error("ERR the proxy has lost its server") // a connection that ended would be replaced at once
			}
			return nil
		})
		// Z has the lock on nodes 1 and 2, and node 2 is away when X comes.
		l.cluster.Node(0).Stop()
		held, err := z.Lock(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := l.cluster.Node(0).Start(); err != nil {
			t.Fatal(err)
		}
		l.cluster.Node(2).Stop()
		l.look[0].Set(ctx, "job", "an attempt of another", 300*time.Millisecond)
		lose.Store(true)
		waits := x.LockAsync(ctx, "job")
		l.until(func(string) bool { return !lose.Load() }) // node 0 granted it to X, and gets no release
		time.Sleep(60 * time.Millisecond)                  // but now
		if err := l.cluster.Node(2).Start(); err != nil {
			t.Fatal(err)
		}
		for range 3 { // connections to it anew
			_, _ = z.Inspect(ctx, "another")
			_, _ = y.Inspect(ctx, "another")
			time.Sleep(time.Millisecond)
		}
		if err := held.Unlock(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		l.mustServe(waits, y)
	})
}

func TestTheUnlockOfAnotherLosesNoPositionOfAGrantedWaiter(t *testing.T) {
	withQueue(t, func(l *queueTest) {
		ctx := context.Background()
		var cut [2]atomic.Bool // Z from node 0, X from node 2
		cutOff := func(locker, from int) func(context.Context, int, []any) error {
			return func(ctx context.Context, node int, _ []any) error {
				if node == from && cut[locker].Load() {
					<-ctx.Done()
					return fmt.Errorf("%w: %w", pool.ErrNotSent, ctx.Err())
				}
				return nil
			}
		}
		z, x, y := l.locker("Z", cutOff(0, 0)), l.locker("X", cutOff(1, 2)), l.locker("Y", undisturbed)
		for i := range 3 { // so Z waits in the queue, and has a ticket
			l.look[i].Set(ctx, "job", "another", time.Second)
		}
		cut[0].Store(true)
		held, err := z.Lock(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		cut[0].Store(false)
		cut[1].Store(true)
		l.look[0].Set(ctx, "job", "an attempt of another", time.Second)
		waits := x.LockAsync(ctx, "job")
		l.until(func(key string) bool { return strings.HasPrefix(key, "rl1:") }) // node 0 grants it to X,
		synctest.Wait()                                                          // node 1 denies it,
		attempt := l.key(0)
		if err := held.Unlock(ctx); err != nil { // Z unlocks there, too,
			t.Fatal(err)
		}
		l.until(func(key string) bool { return key != attempt }) // and X rolls it back, and retries
		time.Sleep(2 * time.Millisecond)
		l.mustServe(waits, y)
		cut[1].Store(false)
	})
}
