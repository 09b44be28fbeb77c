package redigo_test

import (
	"context"
	"fmt"

	redigoclient "github.com/gomodule/redigo/redis"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
)

// This example compiles and does not run: a server for it would be in the go.sum of
// every user of the adapter.

// Three masters through redigo.
func Example() {
	addrs := []string{"redis-1:6379", "redis-2:6379", "redis-3:6379"}
	ctx := context.Background()

	var pools []pool.Pool
	for _, addr := range addrs {
		connections := &redigoclient.Pool{
			DialContext: func(ctx context.Context) (redigoclient.Conn, error) {
				return redigoclient.DialContext(ctx, "tcp", addr)
			},
			MaxIdle: 16,
		}
		defer connections.Close()
		pools = append(pools, redigo.New(connections, redigo.WithName(addr)))
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
