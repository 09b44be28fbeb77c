package redlock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// leadForEver runs lead on one instance at a time, until ctx ends. lead must return when
// its context ends. The lock is released only after it has returned, so no two instances
// lead at once.
func leadForEver(ctx context.Context, locker *redlock.Locker, lead func(context.Context) error) error {
	for ctx.Err() == nil {
		err := locker.Do(ctx, "leader", lead)
		switch {
		case ctx.Err() != nil: // this program ends
		case errors.Is(err, redlock.ErrClosed):
			return err
		case err != nil: // a loss, an error of lead, too few masters
			fmt.Println("no longer leading:", err)
		}
		pause(ctx, 100*time.Millisecond) // lets another instance lead, also after an error
	}
	return nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// Each instance of a service runs this loop. One of them leads.
func Example_leaderLoop() {
	nodes := masters()
	locker, disconnect := connect(nodes)
	defer disconnect()
	ctx, stop := context.WithCancel(context.Background())

	err := leadForEver(ctx, locker, func(ctx context.Context) error {
		fmt.Println("leading")
		stop() // the service ends
		<-ctx.Done()
		return nil
	})
	fmt.Println("ended:", err)
	// Output:
	// leading
	// ended: <nil>
}

// A program ends the work first, then the locks, then the Locker, then the clients.
func Example_shutdown() {
	nodes := masters()
	locker, closeClients := connect(nodes)
	ctx, stop := context.WithCancel(context.Background()) // signal.NotifyContext in a program

	var workers sync.WaitGroup
	workers.Go(func() {
		_ = locker.Do(ctx, "nightly-backup", func(ctx context.Context) error {
			stop() // SIGTERM comes
			<-ctx.Done()
			fmt.Println("1 the work has ended")
			return nil
		})
		fmt.Println("2 the lock is released")
	})
	workers.Wait()

	deadline, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := locker.Close(deadline) // waits until every released key is gone
	fmt.Println("3 the Locker is closed:", err)
	closeClients()
	// Output:
	// 1 the work has ended
	// 2 the lock is released
	// 3 the Locker is closed: <nil>
}

// whatNow says what a caller does about an error of Lock, TryLock, Do, Extend or Unlock.
func whatNow(err error) string {
	switch {
	case err == nil:
		return "go on"
	case errors.Is(err, redlock.ErrTaken): // another one has it
		return "skip it, or try again later"
	case errors.Is(err, redlock.ErrNoQuorum): // too few masters answered
		return "try again later, and alert: the error names the masters"
	case errors.Is(err, redlock.ErrNotHeld), errors.Is(err, redlock.ErrLost), errors.Is(err, redlock.ErrExpired):
		return "stop the work: another one may have the lock"
	case errors.Is(err, redlock.ErrClosed):
		return "the program ends"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "our own context ended the wait"
	}
	return "report it: an option, a name or a server is wrong"
}

// A caller handles these errors differently.
func Example_errors() {
	nodes := masters()
	locker, disconnect := connect(nodes)
	defer disconnect()
	ctx := context.Background()

	lock, err := locker.TryLock(ctx, "nightly-backup")
	fmt.Println(whatNow(err))
	_, err = locker.TryLock(ctx, "nightly-backup")
	fmt.Println(whatNow(err))
	_ = lock.Unlock(ctx)
	fmt.Println(whatNow(lock.Extend(ctx)))
	// Output:
	// go on
	// skip it, or try again later
	// stop the work: another one may have the lock
}
