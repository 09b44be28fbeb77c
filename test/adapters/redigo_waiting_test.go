package adapters_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
)

// Waiting takes what the holder needs to keep its lock, if each Locker has a subscription of its own.
func TestMoreLockersThanARedigoPoolHasConnectionsWaitAndTheHolderKeepsItsLock(t *testing.T) {
	t.Parallel()
	const connections, lockers, ttl = 10, 12, 2 * time.Second
	var pools []pool.Pool
	for range 3 {
		server := redisproc.Start(t, redisproc.Options{})
		p := &redis.Pool{MaxIdle: connections, MaxActive: connections, Wait: true, DialContext: func(ctx context.Context) (redis.Conn, error) {
			return redis.DialContext(ctx, "tcp", server.Addr())
		}}
		t.Cleanup(func() { _ = p.Close() })
		pools = append(pools, redigo.New(p, redigo.WithName(server.Addr())))
	}
	open := func() *redlock.Locker {
		locker, err := redlock.New(pools)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = locker.Close(context.Background()) })
		return locker
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	held, err := open().Lock(ctx, "name", redlock.WithTTL(ttl), redlock.WithKeepAlive())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range lockers {
		locker := open()
		all.Go(func() {
			lock, err := locker.Lock(ctx, "name")
			if err != nil {
				t.Error(err)
				return
			}
			if err := lock.Unlock(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(2 * ttl) // the claim is that it is kept for longer than a TTL
	if err := context.Cause(held.Context()); err != nil {
		t.Errorf("the holder lost its lock: %v", err)
	}
	if err := held.Unlock(ctx); err != nil {
		t.Error(err)
	}
	all.Wait()
}
