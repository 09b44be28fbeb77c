package semaphore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// Do runs a function while it holds one of the slots. Its number is that of no other caller meanwhile.
func ExampleSemaphore_Do() {
	_, masters := fakenode.Pools(3) // in a service: a pool for each master
	locker, err := redlock.New(masters)
	if err != nil {
		panic(err)
	}
	defer locker.Close(context.Background())
	imports, err := semaphore.New(locker, "imports", 2)
	if err != nil {
		panic(err)
	}
	ctx := context.Background()

	var mu sync.Mutex
	var callers sync.WaitGroup
	running, most := 0, 0
	for range 6 {
		callers.Go(func() {
			err := imports.Do(ctx, func(ctx context.Context, number int) error {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				// import into the directory fmt.Sprintf("scratch-%d", number)
				mu.Lock()
				running--
				mu.Unlock()
				return ctx.Err()
			})
			if err != nil {
				fmt.Println(err)
			}
		})
	}
	callers.Wait()
	fmt.Println("more than two at once:", most > 2)
	// Output:
	// more than two at once: false
}

// A permit is a slot that is held until it is released, lost or expires.
func ExampleSemaphore_TryAcquire() {
	_, masters := fakenode.Pools(3)
	locker, err := redlock.New(masters)
	if err != nil {
		panic(err)
	}
	defer locker.Close(context.Background())
	ctx := context.Background()

	shards, err := semaphore.New(locker, "shards", 1)
	if err != nil {
		panic(err)
	}
	permit, err := shards.TryAcquire(ctx, redlock.WithFencing())
	if err != nil {
		panic(err)
	}
	_, taken := shards.TryAcquire(ctx)
	fmt.Println("shard", permit.Slot(), "is ours; another is free:", !errors.Is(taken, redlock.ErrTaken))
	fmt.Println("released:", permit.Release(ctx) == nil)
	// Output:
	// shard 0 is ours; another is free: false
	// released: true
}
