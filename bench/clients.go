package main

import (
	"context"
	"errors"
	"time"

	redigo "github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
)

const (
	goRedis      = "go-redis"
	redigoClient = "redigo"
	noClient     = "direct" // ours without a client library
)

// redigoTimeout bounds connects, reads and writes of redigo.
const redigoTimeout = time.Second

// poolSize is how many connections a client may have to each server here: one for
// every worker, but 64 are enough to keep two cores busy. With 512 of them both
// libraries are slower.
func poolSize(workers int) int { return min(awayPoolSize(workers), 64) }

// awayPoolSize is the same for servers that are away. There a connection waits most of
// the time, and a worker without one waits for it: 64 of them would be the limit.
func awayPoolSize(workers int) int { return max(20, workers) }

// newGoRedis returns one client per server, with so many connections at most, and what
// closes them.
func newGoRedis(addrs []string, connections int) ([]*goredis.Client, func() error) {
	clients := make([]*goredis.Client, len(addrs))
	for i, addr := range addrs {
		clients[i] = goredis.NewClient(&goredis.Options{Addr: addr, PoolSize: connections})
	}
	return clients, closeAll(clients)
}

// newRedigo returns one connection pool per server and what closes them.
func newRedigo(addrs []string, connections int) ([]*redigo.Pool, func() error) {
	pools := make([]*redigo.Pool, len(addrs))
	for i, addr := range addrs {
		pools[i] = &redigo.Pool{
			DialContext: dialRedigo(addr,
				redigo.DialReadTimeout(redigoTimeout),
				redigo.DialWriteTimeout(redigoTimeout)),
			MaxIdle:   connections,
			MaxActive: connections,
			Wait:      true,
		}
	}
	return pools, closeAll(pools)
}

func dialRedigo(addr string, opts ...redigo.DialOption) func(context.Context) (redigo.Conn, error) {
	opts = append(opts, redigo.DialConnectTimeout(redigoTimeout))
	return func(ctx context.Context) (redigo.Conn, error) {
		return redigo.DialContext(ctx, "tcp", addr, opts...)
	}
}

func closeAll[C interface{ Close() error }](closers []C) func() error {
	return func() error {
		var errs []error
		for _, c := range closers {
			errs = append(errs, c.Close())
		}
		return errors.Join(errs...)
	}
}
