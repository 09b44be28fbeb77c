package servers_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/redis/go-redis/v9"
)

// Callers that ask for a free lock at the same time split the nodes between them. One of
// them has to get it: "taken" reads as "another one does it", and if all get that, none
// does.
func TestSimultaneousCallersOfAFreeLockHaveExactlyOneWinner(t *testing.T) {
	five := startServers(t, 5, redisproc.Options{})
	down := redisproc.Start(t, redisproc.Options{})
	down.Kill()
	worlds := []struct {
		name    string
		callers int
		addrs   []string
	}{
		{"2 callers, 3 masters, one is down", 2, []string{five[0].Addr(), down.Addr(), five[1].Addr()}},
		{"3 callers, 3 masters", 3, five[:3].addrs()},
		{"3 callers, 5 masters", 3, five.addrs()},
	}
	modes := []struct {
		name string
		opts []redlock.LockOption
	}{
		{"plain", nil},
		{"fencing", []redlock.LockOption{redlock.WithFencing()}},
		{"fair", []redlock.LockOption{redlock.WithFair()}},
	}
	for _, world := range worlds {
		for _, mode := range modes {
			for _, pipelined := range []bool{false, true} {
				for _, jitter := range []bool{false, true} {
					name := fmt.Sprintf("%s, %s, pipelined %v, jitter %v", world.name, mode.name, pipelined, jitter)
					t.Run(name, func(t *testing.T) {
						var lockers []*redlock.Locker
						for range world.callers {
							lockers = append(lockers, unsteadyLocker(t, world.addrs, pipelined, jitter))
						}
						for i := range rounds(5, 500) {
							contest(t, lockers, fmt.Sprintf("%s %d", name, i), mode.opts)
						}
					})
				}
			}
		}
	}
}

// contest has all lockers try the same free lock at the same time.
func contest(t *testing.T, lockers []*redlock.Locker, name string, opts []redlock.LockOption) {
	t.Helper()
	locks, errs := make([]*redlock.Lock, len(lockers)), make([]error, len(lockers))
	start := make(chan struct{})
	var callers sync.WaitGroup
	for i, l := range lockers {
		callers.Go(func() {
			<-start
			locks[i], errs[i] = l.TryLock(context.Background(), name, opts...)
		})
	}
	close(start)
	callers.Wait()
	winners := 0
	for i, lock := range locks {
		if lock != nil {
			winners++
			if err := lock.Unlock(context.Background()); err != nil {
				t.Errorf("unlock: %v", err)
			}
		} else if !errors.Is(errs[i], redlock.ErrTaken) {
			t.Errorf("a loser gets %v", errs[i])
		}
	}
	if winners != 1 {
		t.Errorf("%d winners: %v", winners, errs)
	}
}

// unsteadyLocker returns a Locker whose commands leave up to a millisecond late.
func unsteadyLocker(t *testing.T, addrs []string, pipelined, jitter bool) *redlock.Locker {
	t.Helper()
	var pools []pool.Pool
	for _, addr := range addrs {
		options := &redis.Options{Addr: addr, DialerRetries: 1}
		if jitter {
			options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				return unsteadyConn{conn}, err
			}
		}
		client := redis.NewClient(options)
		t.Cleanup(func() { client.Close() })
		if pipelined {
			node := goredis.NewPipelined(client)
			t.Cleanup(func() { node.Close() })
			pools = append(pools, node)
		} else {
			pools = append(pools, goredis.New(client))
		}
	}
	l, err := redlock.New(pools)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return l
}

type unsteadyConn struct{ net.Conn }

func (c unsteadyConn) Write(b []byte) (int, error) {
	time.Sleep(rand.N(time.Millisecond))
	return c.Conn.Write(b)
}
