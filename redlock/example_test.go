package redlock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
)

// masters returns three masters in memory, so the examples run. A service uses an adapter
// instead, see the examples of pool/goredis and pool/redigo. They are not in this file,
// because then every user of the lock would download all clients.
func masters() []*fakenode.Node {
	nodes, _ := fakenode.Pools(3)
	return nodes
}

// connect makes the Locker of the examples, and what closes it.
func connect(masters []*fakenode.Node, opts ...redlock.Option) (*redlock.Locker, func()) {
	var pools []pool.Pool
	for _, master := range masters {
		pools = append(pools, &fakenode.Client{Node: master})
	}
	locker, err := redlock.New(pools, opts...)
	if err != nil {
		panic(err)
	}
	return locker, func() { _ = locker.Close(context.Background()) }
}

// Do waits for the lock, keeps it alive while the function runs, and releases
// it. The function's context ends if the lock is lost.
func Example_do() {
	nodes := masters()
	locker, disconnect := connect(nodes)
	defer disconnect()

	err := locker.Do(context.Background(), "nightly-backup", func(ctx context.Context) error {
		fmt.Println("backing up; still ours:", ctx.Err() == nil)
		return nil
	})
	fmt.Println("lost or failed:", err != nil)
	// Output:
	// backing up; still ours: true
	// lost or failed: false
}

// DoAll takes several locks, or none, in one round trip. Nobody holds one of them while it waits for
// another, so callers that want the same two accounts do not block each other for ever.
func ExampleLocker_DoAll() {
	locker, disconnect := connect(masters())
	defer disconnect()
	ctx := context.Background()

	err := locker.DoAll(ctx, []string{"account 9", "account 7"}, func(ctx context.Context) error {
		_, err := locker.TryLockAll(context.Background(), []string{"account 8", "account 9"})
		fmt.Println("meanwhile:", errors.Is(err, redlock.ErrTaken))
		lock, _ := redlock.FromContext(ctx)
		fmt.Println("ours:", lock.Names())
		return nil
	})
	fmt.Println("lost or failed:", err != nil)
	// Output:
	// meanwhile: true
	// ours: [account 7 account 9]
	// lost or failed: false
}

// RDo lets readers run together, and keeps a writer out meanwhile.
func ExampleLocker_RDo() {
	locker, disconnect := connect(masters())
	defer disconnect()
	ctx := context.Background()

	err := locker.RDo(ctx, "prices", func(context.Context) error {
		return locker.RDo(ctx, "prices", func(context.Context) error {
			state, err := locker.Inspect(ctx, "prices")
			fmt.Println("it is read:", state.Readers > 0)
			_, taken := locker.TryLock(ctx, "prices")
			fmt.Println("a writer gets in:", !errors.Is(taken, redlock.ErrTaken))
			return err
		})
	})
	fmt.Println("lost or failed:", err != nil)
	// Output:
	// it is read: true
	// a writer gets in: false
	// lost or failed: false
}

// oncePerTick runs a job that all instances of a service start at the same tick, on one
// of them. A job of a millisecond is done before an instance whose clock is behind asks
// for the lock. So the lock is kept for half a tick, even if the instance dies. No
// instance waits for it.
func oncePerTick(ctx context.Context, locker *redlock.Locker, every time.Duration, job func(context.Context) error) error {
	err := locker.Do(ctx, "nightly-backup", job, redlock.WithTTL(every/2), redlock.WithMinHold(every/2), redlock.WithMaxTries(1))
	if errors.Is(err, redlock.ErrTaken) {
		return nil // another instance runs it, or has run it
	}
	return err
}

// Three instances whose clocks differ start the job at the same tick, one after the
// other. It runs once.
func Example_oncePerTick() {
	nodes := masters()
	ctx := context.Background()

	for instance := range 3 {
		locker, disconnect := connect(nodes)
		defer disconnect()
		err := oncePerTick(ctx, locker, time.Hour, func(context.Context) error {
			fmt.Println("instance", instance, "runs the job")
			return nil
		})
		if err != nil {
			panic(err)
		}
	}
	// Output:
	// instance 0 runs the job
}

// A job goes on in another process, through a queue. No other caller gets the lock on the
// way. The handle is a secret: it can release the lock.
func Example_handOver() {
	nodes := masters()
	locker, disconnect := connect(nodes)
	defer disconnect()
	other, disconnectOther := connect(nodes) // of the other process
	defer disconnectOther()
	ctx := context.Background()

	lock, err := locker.Lock(ctx, "order:4711", redlock.WithKeepAlive())
	if err != nil {
		panic(err)
	}
	handle, err := lock.Handle()
	if err != nil {
		panic(err)
	}
	fmt.Println("here:", context.Cause(lock.Context()))

	there, err := other.Attach(ctx, handle)
	if err != nil {
		panic(err)
	}
	fmt.Println("there:", there.Name(), there.Context().Err())
	_, err = other.Attach(ctx, handle)
	fmt.Println("a second time:", errors.Is(err, redlock.ErrNotHeld))
	fmt.Println("unlocked:", there.Unlock(ctx) == nil)
	// Output:
	// here: lock was handed over
	// there: order:4711 <nil>
	// a second time: true
	// unlocked: true
}

// TryLock does not wait. If another holder has the lock, the error has its label.
func Example_tryLock() {
	nodes := masters()
	locker, disconnect := connect(nodes, redlock.WithOwner("worker-1"))
	defer disconnect()
	other, disconnectOther := connect(nodes, redlock.WithOwner("worker-2"))
	defer disconnectOther()
	ctx := context.Background()

	held, err := other.TryLock(ctx, "nightly-backup")
	if err != nil {
		panic(err)
	}
	defer held.Unlock(ctx)

	_, err = locker.TryLock(ctx, "nightly-backup")
	var refused *redlock.QuorumError
	switch {
	case errors.Is(err, redlock.ErrTaken) && errors.As(err, &refused):
		for _, holder := range refused.Holders { // none if other waiters only come first
			fmt.Println("taken by", holder.Label)
		}
	case errors.Is(err, redlock.ErrNoQuorum):
		fmt.Println("too few masters answer:", err)
	}
	// Output:
	// taken by worker-2
}

// A lock that is kept alive is held until it is unlocked or lost. Its context ends when
// it is no longer certainly held.
func Example_keepAlive() {
	nodes := masters()
	locker, disconnect := connect(nodes)
	defer disconnect()
	ctx := context.Background()

	lock, err := locker.Lock(ctx, "leader", redlock.WithTTL(5*time.Second), redlock.WithKeepAlive())
	if err != nil {
		panic(err)
	}
	for work := range 3 {
		if lock.Context().Err() != nil {
			fmt.Println("stop:", context.Cause(lock.Context()))
			return
		}
		fmt.Println("work", work)
	}
	fmt.Println("unlocked:", lock.Unlock(ctx) == nil)
	fmt.Println("ended:", context.Cause(lock.Context()))
	// Output:
	// work 0
	// work 1
	// work 2
	// unlocked: true
	// ended: lock was released
}

// If WithFair is set, waiters of all processes are served first come, first served.
// LockAsync returns at once, with a request in the wait queue.
func Example_fair() {
	nodes := masters()
	locker, disconnect := connect(nodes)
	defer disconnect()
	other, disconnectOther := connect(nodes)
	defer disconnectOther()
	ctx := context.Background()

	held, err := other.Lock(ctx, "report", redlock.WithFair())
	if err != nil {
		panic(err)
	}
	go func() {
		time.Sleep(100 * time.Millisecond)
		_ = held.Unlock(ctx) // which notifies the next waiter
	}()

	pending := locker.LockAsync(ctx, "report", redlock.WithFair())
	if ahead, known := pending.Position(); known { // once nodes have answered
		fmt.Println(ahead, "wait before us")
	}
	lock, err := pending.Wait(ctx) // or select on pending.Done()
	if err != nil {
		panic(err)
	}
	fmt.Println("unlocked:", lock.Unlock(ctx) == nil)
	// It is not run here: these masters have no wait queue. Tests on servers do the same.
}

// Watch reports each new holder of a lock, and each release. Take the lock before you act
// on it.
func Example_watch() {
	nodes := masters()
	locker, disconnect := connect(nodes, redlock.WithOwner("worker-1"))
	defer disconnect()
	other, disconnectOther := connect(nodes, redlock.WithOwner("worker-2"))
	defer disconnectOther()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	held, err := other.Lock(ctx, "leader")
	if err != nil {
		panic(err)
	}
	changes, err := locker.Watch(ctx, "leader")
	if err != nil {
		panic(err)
	}
	for change := range changes {
		fmt.Println(change.Kind, change.State.Holder)
		if change.Kind == redlock.Released {
			return
		}
		_ = held.Unlock(ctx)
	}
	// Output:
	// acquired worker-2
	// released
}

// A master that may have forgotten locks grants none until all that it may have forgotten
// have expired. So does a new master. That lasts for the largest TTL of all locks. Lock
// waits for its end, and the error of TryLock says when it comes.
func Example_restartGuard() {
	nodes := masters()
	const longest = 300 * time.Millisecond
	locker, disconnect := connect(nodes, redlock.WithTTL(longest), redlock.WithNodeTimeout(longest/2), redlock.WithRestartGuard(longest))
	defer disconnect()
	ctx := context.Background()

	_, err := locker.TryLock(ctx, "nightly-backup")
	fmt.Println("too early:", errors.Is(err, redlock.ErrQuarantine))
	lock, err := locker.Lock(ctx, "nightly-backup")
	if err != nil {
		panic(err)
	}
	fmt.Println("unlocked:", lock.Unlock(ctx) == nil)
	// Output:
	// too early: true
	// unlocked: true
}

// A Trace counts what happens, for metrics. The texts of errors have names and addresses,
// which would give a metric too many labels. So use what the error matches.
func Example_trace() {
	nodes := masters()
	var mu sync.Mutex
	count := make(map[string]int) // your counters
	outcome := func(err error) string {
		switch {
		case err == nil:
			return "ok"
		case errors.Is(err, redlock.ErrTaken):
			return "taken"
		case errors.Is(err, redlock.ErrNoQuorum):
			return "no quorum"
		}
		return "other"
	}
	locker, disconnect := connect(nodes, redlock.WithTrace(&redlock.Trace{
		Round: func(r redlock.RoundInfo) { // called in the middle of things: be quick
			mu.Lock()
			defer mu.Unlock()
			count[r.Op+" "+outcome(r.Err)]++
		},
	}))
	defer disconnect()
	ctx := context.Background()

	lock, err := locker.Lock(ctx, "nightly-backup")
	if err != nil {
		panic(err)
	}
	_, err = locker.TryLock(ctx, "nightly-backup")
	fmt.Println("a second one:", outcome(err))
	_ = lock.Unlock(ctx)
	mu.Lock()
	defer mu.Unlock()
	fmt.Println(count)
	// Output:
	// a second one: taken
	// map[lock ok:1 lock taken:1 unlock ok:1]
}
