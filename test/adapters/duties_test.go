package adapters_test

import (
	"context"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/direct"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/pooltest"
	"github.com/quorumlock/quorumlock/pool/redigo"
	goredisv9 "github.com/redis/go-redis/v9"
)

// secret is what no name and no error may show.
const secret = "correct-horse-battery-staple"

// The duties of an adapter hold whatever options its client has. The options that most
// services have stand for all, unless there is time.

func TestGoRedisWithDefaultOptionsDoesItsDuties(t *testing.T) {
	pooltest.Run(t, openGoRedis(func(*goredisv9.Options) {}))
}

func TestGoRedisInRESP2DoesItsDuties(t *testing.T) {
	onlyLong(t)
	pooltest.Run(t, openGoRedis(func(o *goredisv9.Options) {
		o.Protocol = 2
		o.Username, o.Password = "worker", secret
		o.DB = 2
	}))
}

func TestGoRedisWithOneConnectionDoesItsDuties(t *testing.T) {
	onlyLong(t)
	pooltest.Run(t, openGoRedis(func(o *goredisv9.Options) {
		o.PoolSize = 1
		o.Password = secret
	}))
}

func TestGoRedisWithEverythingTurnedDoesItsDuties(t *testing.T) {
	onlyLong(t)
	pooltest.Run(t, openGoRedis(func(o *goredisv9.Options) {
		o.ContextTimeoutEnabled = true
		o.ReadTimeout, o.WriteTimeout = -1, -1
		o.MaxRetries = 9
		o.PoolFIFO = true
		o.MinIdleConns = 3
		o.DialerRetries = 1
	}))
}

func TestRedigoDoesItsDuties(t *testing.T) {
	pooltest.Run(t, openRedigo(&redis.Pool{MaxIdle: 16}))
}

func TestRedigoWithOneConnectionDoesItsDuties(t *testing.T) {
	onlyLong(t)
	pooltest.Run(t, openRedigo(&redis.Pool{MaxIdle: 1, MaxActive: 1, Wait: true},
		redis.DialUsername("worker"), redis.DialPassword(secret), redis.DialDatabase(2)))
}

func TestRedigoWithoutIdleConnectionsDoesItsDuties(t *testing.T) {
	onlyLong(t)
	pooltest.Run(t, openRedigo(&redis.Pool{}, redis.DialReadTimeout(time.Minute), redis.DialWriteTimeout(time.Minute)))
}

func TestRedigoWithTwoConnectionsDoesItsDuties(t *testing.T) {
	onlyLong(t)
	pooltest.Run(t, openRedigo(&redis.Pool{MaxIdle: 2, MaxActive: 2, Wait: true}, redis.DialPassword(secret)))
}

func TestPipelinedGoRedisDoesItsDuties(t *testing.T) {
	pooltest.Run(t, openPipelinedGoRedis(func(o *goredisv9.Options) { o.Password = secret }))
}

func TestPipelinedGoRedisInRESP2WithEverythingTurnedDoesItsDuties(t *testing.T) {
	onlyLong(t)
	pooltest.Run(t, openPipelinedGoRedis(func(o *goredisv9.Options) {
		o.Protocol = 2
		o.Username, o.Password = "worker", secret
		o.DB = 2
		o.ReadTimeout, o.WriteTimeout = -1, -1
		o.MaxRetries = 9
		o.PoolSize, o.MinIdleConns = 1, 1
	}))
}

func TestPipelinedRedigoDoesItsDuties(t *testing.T) {
	pooltest.Run(t, openPipelinedRedigo(redis.DialUsername("worker"), redis.DialPassword(secret), redis.DialDatabase(2),
		redis.DialReadTimeout(time.Second), redis.DialWriteTimeout(time.Second)))
}

func TestDirectDoesItsDuties(t *testing.T) {
	pooltest.Run(t, func(tb testing.TB, addr string) pool.Pool {
		return newDirect(tb, addr, direct.WithPassword("worker", secret), direct.WithDatabase(2), direct.WithClientName("locks"))
	})
}

func openPipelinedGoRedis(set func(*goredisv9.Options)) pooltest.Opener {
	return func(tb testing.TB, addr string) pool.Pool {
		opts := &goredisv9.Options{Addr: addr}
		set(opts)
		client := goredisv9.NewClient(opts)
		tb.Cleanup(func() { _ = client.Close() })
		p := goredis.NewPipelined(client)
		tb.Cleanup(func() { _ = p.Close() })
		return p
	}
}

func openPipelinedRedigo(opts ...redis.DialOption) pooltest.Opener {
	return func(tb testing.TB, addr string) pool.Pool {
		p := redigo.NewPipelined(func(ctx context.Context) (redis.Conn, error) {
			return redis.DialContext(ctx, "tcp", addr, opts...)
		}, redigo.WithName(addr))
		tb.Cleanup(func() { _ = p.Close() })
		return p
	}
}

func openGoRedis(set func(*goredisv9.Options)) pooltest.Opener {
	return func(tb testing.TB, addr string) pool.Pool {
		opts := &goredisv9.Options{Addr: addr}
		set(opts)
		client := goredisv9.NewClient(opts)
		tb.Cleanup(func() { _ = client.Close() })
		return goredis.New(client)
	}
}

func openRedigo(like *redis.Pool, opts ...redis.DialOption) pooltest.Opener {
	return func(tb testing.TB, addr string) pool.Pool {
		connections := &redis.Pool{
			DialContext: func(ctx context.Context) (redis.Conn, error) {
				return redis.DialContext(ctx, "tcp", addr, opts...)
			},
			MaxIdle:   like.MaxIdle,
			MaxActive: like.MaxActive,
			Wait:      like.Wait,
		}
		tb.Cleanup(func() { _ = connections.Close() })
		return redigo.New(connections, redigo.WithName(addr))
	}
}
