package redlock

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// neighbours returns n Lockers on the same pools, as several parts of a service make them.
func neighbours(f *fixture, n int, opts ...Option) (all []*Locker) {
	f.t.Helper()
	pools := newPools(f)
	for range n {
		l, err := New(pools, opts...)
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, l)
	}
	f.others = append(f.others, all...)
	return all
}

func TestLockersOfOneProcessShareASubscriptionForEachClient(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, l := range neighbours(f, 50) {
			if _, err := l.Watch(context.Background(), "job"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for _, n := range f.nodes {
			if conns, channels := n.Subscribed(); conns != 1 || channels != 1 {
				t.Errorf("%d connections listen to %d channels, want 1 and 1", conns, channels)
			}
		}
	})
}

func TestCloseOfOneLockerLeavesTheOthersTheirSubscription(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithTTL(time.Hour))
		both := neighbours(f, 2)
		var changes <-chan Change
		for _, l := range both {
			changes, _ = l.Watch(context.Background(), "job")
		}
		<-changes
		if err := both[0].Close(context.Background()); err != nil {
			t.Error(err)
		}
		synctest.Wait() // it joins while the first look is answered
		for _, n := range f.nodes {
			if conns, _ := n.Subscribed(); conns != 1 {
				t.Errorf("%d connections listen, want 1", conns)
			}
		}
		f.unlock(k)
		synctest.Wait()
		select {
		case c := <-changes:
			if c.Kind != Released {
				t.Errorf("it tells %v", c)
			}
		default:
			t.Error("the release was not heard of at once")
		}
		both[1].Close(context.Background())
		for _, n := range f.nodes {
			if conns, _ := n.Subscribed(); conns != 0 {
				t.Errorf("%d connections listen after the last Close", conns)
			}
		}
	})
}

// A small client has few connections, for commands and the subscription. A command that
// finds none is not sent.
type small struct {
	*fakenode.Node
	free chan struct{} // one for each connection that is not in use
}

func newSmall(n *fakenode.Node, connections int) *small {
	s := &small{Node: n, free: make(chan struct{}, connections)}
	for range connections {
		s.free <- struct{}{}
	}
	return s
}

var errSmall = fmt.Errorf("%w: %w", pool.ErrNotSent, pool.ErrNoConn)

func (s *small) Do(ctx context.Context, args ...any) (any, error) {
	select {
	case <-s.free:
	default:
		return nil, errSmall
	}
	defer func() { s.free <- struct{}{} }()
	return s.Node.Do(ctx, args...)
}

func (s *small) Subscribe(ctx context.Context) (pool.Subscription, error) {
	select {
	case <-s.free:
	default:
		return nil, errSmall
	}
	sub, err := s.Node.Subscribe(ctx)
	return &smallSubscription{sub, s}, err
}

type smallSubscription struct {
	pool.Subscription
	client *small
}

func (s *smallSubscription) Close() error {
	s.client.free <- struct{}{}
	return s.Subscription.Close()
}

// The subscription of waiters gives way to the renewals of the holder, however few
// connections there are.
func TestAHolderKeepsItsLockThoughWaitersUseUpTheConnections(t *testing.T) {
	for _, connections := range []int{1, 2, 10} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var pools []pool.Pool
				for i := range 3 {
					n := fakenode.New(fmt.Sprint("node-", i))
					n.Set(fakenode.Faults{Delay: 100 * time.Microsecond})
					pools = append(pools, newSmall(n, connections))
				}
				lockers := make([]*Locker, 13)
				for i := range lockers {
					// In another order they have no wait queue in common.
					j := i % len(pools)
					pools[0], pools[j] = pools[j], pools[0]
					var err error
					if lockers[i], err = New(pools); err != nil {
						t.Fatal(err)
					}
				}
				k, err := lockers[0].Lock(context.Background(), "job", WithKeepAlive(), WithTTL(3*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				var waiters sync.WaitGroup
				for _, l := range lockers[1:] {
					waiters.Go(func() {
						k, err := l.Lock(context.Background(), "job", WithMaxWait(time.Minute))
						if err != nil {
							t.Error(err)
							return
						}
						k.Unlock(context.Background()) // a node may be too busy to confirm it
					})
				}
				time.Sleep(20 * time.Second)
				if err := k.Context().Err(); err != nil {
					t.Errorf("the lock was lost: %v", context.Cause(k.Context()))
				}
				k.Unlock(context.Background())
				waiters.Wait()
				for _, l := range lockers {
					l.Close(context.Background())
				}
			})
		})
	}
}

// backed is a pool that says which client it stands on.
type backed struct {
	pool.Pool
	client any
}

func (b backed) Backing() any { return b.client }

func TestNewRefusesTwoPoolsOnOneClient(t *testing.T) {
	_, pools := fakenode.Pools(3)
	on := func(clients ...any) (all []pool.Pool) {
		for i, c := range clients {
			all = append(all, backed{pools[i], c})
		}
		return all
	}
	client := new(int)
	_, err := New(on(client, new(int), client))
	if err == nil || !strings.Contains(err.Error(), `pools 0 ("node-1") and 2 ("node-3") stand on one client`) {
		t.Errorf("got %v", err)
	}
	for _, clients := range [][]any{{client, new(int), new(int)}, {nil, nil, nil}, {[]int{1}, []int{1}, nil}} {
		if _, err := New(on(clients...)); err != nil {
			t.Errorf("%v: %v", clients, err)
		}
	}
}
