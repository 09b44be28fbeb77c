package fleet_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	redigov1 "github.com/gomodule/redigo/redis"
	goredisv9 "github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
)

const (
	goRedis      = "go-redis"
	redigoClient = "redigo"
)

// servers are the masters that both libraries use.
type servers []*redisproc.Server

// startTestServers starts servers that end with the test.
func startTestServers(tb testing.TB, n int) servers {
	tb.Helper()
	var s servers
	for range n {
		s = append(s, redisproc.Start(tb, redisproc.Options{}))
	}
	return s
}

func (s servers) addrs() (addrs []string) {
	for _, server := range s {
		addrs = append(addrs, server.Addr())
	}
	return addrs
}

// flush empties the servers.
func (s servers) flush() error {
	for _, server := range s {
		if _, err := server.Do("FLUSHALL"); err != nil {
			return err
		}
	}
	return nil
}

// newGoRedis returns one client per server, and what closes them.
func newGoRedis(addrs []string) ([]*goredisv9.Client, func() error) {
	var clients []*goredisv9.Client
	for _, addr := range addrs {
		clients = append(clients, goredisv9.NewClient(&goredisv9.Options{Addr: addr, PoolSize: 20}))
	}
	return clients, closeAll(clients)
}

// newRedigo returns one connection pool per server, and what closes them.
func newRedigo(addrs []string) ([]*redigov1.Pool, func() error) {
	var pools []*redigov1.Pool
	for _, addr := range addrs {
		pools = append(pools, &redigov1.Pool{DialContext: dialRedigo(addr), MaxIdle: 20, MaxActive: 20, Wait: true})
	}
	return pools, closeAll(pools)
}

func dialRedigo(addr string) func(context.Context) (redigov1.Conn, error) {
	return func(ctx context.Context) (redigov1.Conn, error) {
		return redigov1.DialContext(ctx, "tcp", addr, redigov1.DialConnectTimeout(time.Second),
			redigov1.DialReadTimeout(time.Second), redigov1.DialWriteTimeout(time.Second))
	}
}

func closeAll[C io.Closer](closers []C) func() error {
	return func() error {
		var errs []error
		for _, c := range closers {
			errs = append(errs, c.Close())
		}
		return errors.Join(errs...)
	}
}

// newPipelined returns a Locker with one connection per server, and what closes both.
func newPipelined(client string, addrs []string) (*redlock.Locker, func() error, error) {
	var pools []pool.Pool
	var pipes []io.Closer
	closeClients := func() error { return nil }
	if client == goRedis {
		var clients []*goredisv9.Client
		clients, closeClients = newGoRedis(addrs)
		for _, c := range clients {
			p := goredis.NewPipelined(c)
			pools, pipes = append(pools, p), append(pipes, p)
		}
	} else {
		for _, addr := range addrs {
			p := redigo.NewPipelined(dialRedigo(addr), redigo.WithName(addr))
			pools, pipes = append(pools, p), append(pipes, p)
		}
	}
	return newLocker(pools, func() error { return errors.Join(closeAll(pipes)(), closeClients()) })
}

// newOnGoRedis returns a Locker on a client's connections, and what closes both.
func newOnGoRedis(addrs []string, opts ...redlock.Option) (*redlock.Locker, func() error, error) {
	clients, closeClients := newGoRedis(addrs)
	var pools []pool.Pool
	for _, c := range clients {
		pools = append(pools, goredis.New(c))
	}
	return newLocker(pools, closeClients, opts...)
}

func newLocker(pools []pool.Pool, closeClients func() error, opts ...redlock.Option) (*redlock.Locker, func() error, error) {
	locker, err := redlock.New(pools, opts...)
	if err != nil {
		return nil, nil, errors.Join(err, closeClients())
	}
	return locker, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return errors.Join(locker.Close(ctx), closeClients())
	}, nil
}
