package goredis_test

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
)

// These examples compile and do not run: a server for them would be in the go.sum of
// every user of the adapter.

// Three masters through go-redis.
func Example() {
	addrs := []string{"redis-1:6379", "redis-2:6379", "redis-3:6379"}
	ctx := context.Background()

	var pools []pool.Pool
	for _, addr := range addrs {
		client := redis.NewClient(&redis.Options{Addr: addr})
		defer client.Close()
		pools = append(pools, goredis.New(client))
	}
	locker, err := redlock.New(pools)
	if err != nil {
		panic(err)
	}
	defer locker.Close(ctx) // give ctx a deadline

	lock, err := locker.Lock(ctx, "nightly-backup") // waits until ctx ends
	if err != nil {
		panic(err)
	}
	fmt.Println("locked", lock.Name())
	fmt.Println("unlocked:", lock.Unlock(ctx) == nil)
}

// All locks of a service share one connection to each master. That is for services that
// take many locks, or need the lowest cost per lock.
func Example_pipelined() {
	addrs := []string{"redis-1:6379", "redis-2:6379", "redis-3:6379"}
	ctx := context.Background()

	var pools []pool.Pool
	for _, addr := range addrs {
		client := redis.NewClient(&redis.Options{Addr: addr})
		defer client.Close()
		node := goredis.NewPipelined(client)
		defer node.Close()
		pools = append(pools, node)
	}
	locker, err := redlock.New(pools)
	if err != nil {
		panic(err)
	}
	defer locker.Close(ctx)

	err = locker.Do(ctx, "order:4711", func(context.Context) error { return nil })
	fmt.Println("done:", err == nil)
}
