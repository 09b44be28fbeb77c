package board_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
)

// connect makes a Locker of one service on masters in memory, so the examples run. A service
// uses an adapter instead, see the examples of pool/goredis and pool/redigo.
func connect(masters []*fakenode.Node) (*redlock.Locker, func()) {
	var pools []pool.Pool
	for _, master := range masters {
		pools = append(pools, &fakenode.Client{Node: master})
	}
	locker, err := redlock.New(pools)
	if err != nil {
		panic(err)
	}
	return locker, func() { _ = locker.Close(context.Background()) }
}

// An operator publishes a configuration, and the services of a fleet follow it.
func Example() {
	masters, _ := fakenode.Pools(3)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	// A service of the fleet.
	locker, disconnect := connect(masters)
	defer disconnect()
	notices, err := board.New(locker)
	if err != nil {
		panic(err)
	}
	changes, err := notices.Watch(ctx, "limits")
	if err != nil {
		panic(err)
	}
	fmt.Println("at first:", (<-changes).Kind)

	// The operator, in another process.
	operators, leave := connect(masters)
	defer leave()
	theirs, err := board.New(operators, board.WithRetention(board.Forever))
	if err != nil {
		panic(err)
	}
	if _, err := theirs.Publish(ctx, "limits", `{"rps": 100}`); err != nil {
		panic(err)
	}

	for change := range changes {
		switch change.Kind {
		case board.Published:
			fmt.Println("limits are now", change.Entry.Value)
			return
		case board.Unknown: // too few masters answer: go on with what is known
			fmt.Println("no news:", change.Err)
		}
	}
	// Output:
	// at first: none
	// limits are now {"rps": 100}
}

// Each voter publishes its vote under a path of its own, and the leader counts them.
func ExampleBoard_Latest_vote() {
	masters, _ := fakenode.Pools(3)
	ctx := context.Background()
	voters := []string{"berlin", "lagos", "lima"}

	for i, voter := range voters[:2] { // lima does not vote
		locker, disconnect := connect(masters)
		defer disconnect()
		votes, err := board.New(locker)
		if err != nil {
			panic(err)
		}
		if _, err := votes.Publish(ctx, "vote:"+voter, []string{"yes", "no"}[i]); err != nil {
			panic(err)
		}
	}

	locker, disconnect := connect(masters)
	defer disconnect()
	votes, err := board.New(locker)
	if err != nil {
		panic(err)
	}
	count := make(map[string]int)
	for _, voter := range voters {
		vote, err := votes.Latest(ctx, "vote:"+voter)
		switch {
		case errors.Is(err, board.ErrNotPublished), errors.Is(err, board.ErrExpired):
			count["missing"]++
		case err != nil: // too few masters answered: nothing is known of this vote
			panic(err)
		default:
			count[vote.Value]++
		}
	}
	fmt.Println(count)
	// Output: map[missing:1 no:1 yes:1]
}

// The holder of a lock is the only writer of a path, and needs one round trip.
func ExampleBoard_PublishAs() {
	masters, _ := fakenode.Pools(3)
	ctx := context.Background()
	locker, disconnect := connect(masters)
	defer disconnect()
	notices, err := board.New(locker)
	if err != nil {
		panic(err)
	}

	lock, err := locker.Lock(ctx, "backup", redlock.WithFencing(), redlock.WithKeepAlive())
	if err != nil {
		panic(err)
	}
	for done := 0; done <= 100; done += 50 {
		if _, err := notices.PublishAs(ctx, lock, "backup progress", fmt.Sprint(done, " %")); err != nil {
			fmt.Println("stop:", err) // the lock has ended, or too few masters answer
			return
		}
	}
	if err := lock.Unlock(ctx); err != nil {
		panic(err)
	}
	progress, err := notices.Latest(ctx, "backup progress")
	if err != nil {
		panic(err)
	}
	fmt.Println(progress.Value)
	// Output: 100 %
}
