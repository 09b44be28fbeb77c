package direct_test

import (
	"context"
	"fmt"
	"os"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/direct"
	"github.com/quorumlock/quorumlock/redlock"
)

// This example compiles and does not run.

// Three masters without a client library.
func Example() {
	addrs := []string{"redis-1:6379", "redis-2:6379", "redis-3:6379"}
	ctx := context.Background()

	var pools []pool.Pool
	for _, addr := range addrs {
		node, err := direct.New(addr, direct.WithPassword("worker", os.Getenv("REDIS_PASSWORD")), direct.WithTLS(nil))
		if err != nil {
			panic(err)
		}
		defer node.Close()
		pools = append(pools, node)
	}
	locker, err := redlock.New(pools)
	if err != nil {
		panic(err)
	}
	defer locker.Close(ctx)

	lock, err := locker.Lock(ctx, "nightly-backup") // waits until ctx ends
	if err != nil {
		panic(err)
	}
	fmt.Println("locked", lock.Name())
	fmt.Println("unlocked:", lock.Unlock(ctx) == nil)
}
