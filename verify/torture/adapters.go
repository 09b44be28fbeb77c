package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	redigov1 "github.com/gomodule/redigo/redis"
	goredisv9 "github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
)

// adapters are the ways to a server; each worker has one. Their names are shown, and the
// page has a color for each.
var adapters = []string{"go-redis pipelined", "go-redis", "redigo pipelined", "redigo"}

const connectTimeout = time.Second

// open returns a pool for each node and what closes them and their clients.
func open(adapter string, addrs []string) (pools []pool.Pool, closeAll func() error, err error) {
	var closers []io.Closer
	for i, addr := range addrs {
		name := fmt.Sprintf("node %d", i+1)
		dial := func(ctx context.Context) (redigov1.Conn, error) {
			return redigov1.DialContext(ctx, "tcp", addr, redigov1.DialConnectTimeout(connectTimeout))
		}
		switch adapter {
		case "go-redis", "go-redis pipelined":
			client := goredisv9.NewClient(&goredisv9.Options{Addr: addr, DialTimeout: connectTimeout, DialerRetries: 1})
			if adapter == "go-redis" {
				pools = append(pools, goredis.New(client, goredis.WithName(name)))
			} else {
				p := goredis.NewPipelined(client, goredis.WithName(name))
				pools, closers = append(pools, p), append(closers, p)
			}
			closers = append(closers, client)
		case "redigo":
			source := &redigov1.Pool{DialContext: dial, MaxIdle: 16}
			pools, closers = append(pools, redigo.New(source, redigo.WithName(name))), append(closers, source)
		case "redigo pipelined":
			p := redigo.NewPipelined(dial, redigo.WithName(name))
			pools, closers = append(pools, p), append(closers, p)
		default:
			return nil, nil, fmt.Errorf("no adapter %q", adapter)
		}
	}
	return pools, func() error {
		var errs []error
		for _, c := range closers {
			errs = append(errs, c.Close())
		}
		return errors.Join(errs...)
	}, nil
}
