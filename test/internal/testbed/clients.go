package testbed

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredisv9 "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/quorumlock/quorumlock/internal/port"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/direct"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
)

// A DialFunc replaces the way to a server; nil is the library's own.
type DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// OpenGoRedis opens go-redis with its default options.
func OpenGoRedis(t testing.TB, addr string, dial DialFunc) pool.Pool {
	return goredis.New(NewGoRedis(t, addr, dial))
}

// OpenRedigo opens redigo with its default options.
func OpenRedigo(t testing.TB, addr string, dial DialFunc) pool.Pool {
	connections := &redis.Pool{DialContext: RedigoDial(addr, dial), MaxIdle: 16}
	t.Cleanup(func() { _ = connections.Close() })
	return redigo.New(connections, redigo.WithName(addr))
}

// OpenPipelinedGoRedis is OpenGoRedis with one connection that all calls share.
func OpenPipelinedGoRedis(t testing.TB, addr string, dial DialFunc) pool.Pool {
	return Pipelined(t, NewGoRedis(t, addr, dial))
}

// OpenPipelinedRedigo is OpenRedigo with one connection that all calls share.
func OpenPipelinedRedigo(t testing.TB, addr string, dial DialFunc) pool.Pool {
	p := redigo.NewPipelined(RedigoDial(addr, dial), redigo.WithName(addr))
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// OpenDirect opens a master by its address.
func OpenDirect(t testing.TB, addr string, dial DialFunc) pool.Pool {
	return NewDirect(t, addr, direct.WithDialer(dial))
}

// NewDirect returns a pool that is closed when the test ends.
func NewDirect(t testing.TB, addr string, opts ...direct.Option) *direct.Pool {
	p, err := direct.New(addr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// NewGoRedis returns a client that is closed when the test ends.
func NewGoRedis(t testing.TB, addr string, dial DialFunc) *goredisv9.Client {
	opts := &goredisv9.Options{Addr: addr, Dialer: dial}
	if dial != nil {
		opts.DialerRetries = 1 // a bubble does not end before a dial that is repeated after Close
		// go-redis holds a mutex while it waits for the answer to this part of
		// its greeting: the time of a bubble would stop.
		opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
	return NewGoRedisClient(t, opts)
}

// NewGoRedisClient is NewGoRedis with options.
func NewGoRedisClient(t testing.TB, opts *goredisv9.Options) *goredisv9.Client {
	client := goredisv9.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Pipelined returns a pool that is closed when the test ends.
func Pipelined(t testing.TB, client *goredisv9.Client) *goredis.Pipelined {
	p := goredis.NewPipelined(client)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// RedigoDial returns what opens a connection of redigo.
func RedigoDial(addr string, dial DialFunc, opts ...redis.DialOption) func(context.Context) (redis.Conn, error) {
	if dial != nil {
		opts = append(opts, redis.DialContextFunc(dial))
	}
	return func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", addr, opts...)
	}
}

// ClosedAddr returns an address without a server.
func ClosedAddr(t testing.TB) string {
	reserved, err := port.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reserved.Release)
	return reserved.Addr()
}

// Patience returns a context that ends soon enough for a test that hangs.
func Patience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
