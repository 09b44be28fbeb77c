package kit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	redigoclient "github.com/gomodule/redigo/redis"
	goredisclient "github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// Through go-redis: two of five masters hang, and the lock is granted all the
// same.
func Example_redlocktestWithGoRedis() {
	cluster, err := redlocktest.Start(5) // in a test: redlocktest.New(t, 5)
	if err != nil {
		panic(err)
	}
	defer cluster.Close()

	var pools []pool.Pool
	for _, node := range cluster.Nodes() {
		client := goredisclient.NewClient(&goredisclient.Options{Addr: node.Addr(), Dialer: node.Dial})
		defer client.Close()
		pools = append(pools, goredis.New(client))
	}
	locker, err := redlock.New(pools)
	if err != nil {
		panic(err)
	}

	cluster.Node(0).Freeze()
	cluster.Node(1).Freeze()
	lock, err := locker.TryLock(context.Background(), "backup")
	if err != nil {
		panic(err)
	}
	held, total := lock.Held()
	fmt.Printf("held on %d of %d\n", held, total)
	fmt.Println("unlock:", lock.Unlock(context.Background()))

	cluster.Node(0).Thaw()
	cluster.Node(1).Thaw()
	fmt.Println("close:", locker.Close(context.Background()))
	// Output:
	// held on 3 of 5
	// unlock: <nil>
	// close: <nil>
}

// Through redigo: a foreign holder has the majority.
func Example_redlocktestWithRedigo() {
	cluster, err := redlocktest.Start(3) // in a test: redlocktest.New(t, 3)
	if err != nil {
		panic(err)
	}
	defer cluster.Close()

	var pools []pool.Pool
	for _, node := range cluster.Nodes() {
		connections := &redigoclient.Pool{
			DialContext: func(ctx context.Context) (redigoclient.Conn, error) {
				return redigoclient.DialContext(ctx, "tcp", node.Addr(), redigoclient.DialContextFunc(node.Dial))
			},
			MaxIdle: 4,
		}
		defer connections.Close()
		pools = append(pools, redigo.New(connections, redigo.WithName(node.Addr())))
	}
	locker, err := redlock.New(pools)
	if err != nil {
		panic(err)
	}
	defer locker.Close(context.Background())

	cluster.Node(0).Hold("backup", "another", time.Minute)
	cluster.Node(1).Hold("backup", "another", time.Minute)
	_, err = locker.TryLock(context.Background(), "backup")
	fmt.Println("taken:", errors.Is(err, redlock.ErrTaken))
	// Output:
	// taken: true
}

// A job that runs once an hour: a balancer has closed its connections meanwhile,
// and one master refuses EVALSHA. It gets its lock all the same, and releases it.
func Example_redlocktestIdleConnections() {
	cluster, err := redlocktest.Start(3) // in a test: redlocktest.New(t, 3)
	if err != nil {
		panic(err)
	}
	defer cluster.Close()

	var pools []pool.Pool
	for _, node := range cluster.Nodes() {
		connections := &redigoclient.Pool{ // redigo does not look whether a connection is still open
			DialContext: func(ctx context.Context) (redigoclient.Conn, error) {
				return redigoclient.DialContext(ctx, "tcp", node.Addr(), redigoclient.DialContextFunc(node.Dial))
			},
			MaxIdle: 4,
		}
		defer connections.Close()
		pools = append(pools, redigo.New(connections, redigo.WithName(node.Addr())))
	}
	locker, err := redlock.New(pools)
	if err != nil {
		panic(err)
	}
	defer func() {
		// What was sent on a closed connection may arrive within a TTL: Close says so.
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = locker.Close(ctx)
	}()

	for run := range 2 {
		lock, err := locker.TryLock(context.Background(), "backup")
		if err != nil {
			panic(err)
		}
		fmt.Println("run", run, "unlock:", lock.Unlock(context.Background()))

		closed := 0
		for _, node := range cluster.Nodes() {
			closed += node.CloseIdle()
		}
		fmt.Println("closed those of a majority:", closed >= 2)
		cluster.Node(0).FailCommand("EVALSHA", "ERR unknown command 'EVALSHA'")
	}
	// Output:
	// run 0 unlock: <nil>
	// closed those of a majority: true
	// run 1 unlock: <nil>
	// closed those of a majority: true
}

// In a bubble an hour takes no time: the lock of a service that was cut off is
// free again when its TTL has passed.
func TestExampleOfVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := redlocktest.NewInMemory(t, 3)
		service, rival := kitLocker(t, cluster), kitLocker(t, cluster)

		lost, err := service.TryLock(t.Context(), "backup", redlock.WithTTL(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rival.TryLock(t.Context(), "backup"); !errors.Is(err, redlock.ErrTaken) {
			t.Fatalf("%v, want %v", err, redlock.ErrTaken)
		}
		time.Sleep(time.Hour)
		lock, err := rival.TryLock(t.Context(), "backup")
		if err != nil {
			t.Fatal(err)
		}
		if err := lost.Unlock(t.Context()); !errors.Is(err, redlock.ErrNotHeld) {
			t.Errorf("%v, want %v", err, redlock.ErrNotHeld)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// kitLocker connects to a cluster in either mode.
func kitLocker(t *testing.T, cluster *redlocktest.Cluster) *redlock.Locker {
	t.Helper()
	var pools []pool.Pool
	for _, node := range cluster.Nodes() {
		client := goredisclient.NewClient(&goredisclient.Options{
			Addr: node.Addr(), Dialer: node.Dial,
			DialerRetries: 1, // go-redis would go on dialling after Close, and the bubble would not end
		})
		t.Cleanup(func() { client.Close() })
		pools = append(pools, goredis.New(client))
	}
	locker, err := redlock.New(pools)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := locker.Close(ctx); err != nil { // waits until nothing is under way any more
			t.Error(err)
		}
	})
	return locker
}
