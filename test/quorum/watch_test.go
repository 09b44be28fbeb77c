package quorum_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// Looking at a lock, with the real clients and Lua, in virtual time.

func (q *quorumTest) inspect(name string) redlock.State {
	q.Helper()
	s, err := q.rival.Inspect(context.Background(), name)
	if err != nil {
		q.Error(err)
	}
	return s
}

func wantState(q *quorumTest, s redlock.State, text string) {
	q.Helper()
	if s.String() != text {
		q.Errorf("got:  %v\nwant: %s", s, text)
	}
}

func TestInABubbleInspectSaysTheHolderOfALockAndItsTimeLeft(t *testing.T) {
	inBubble(t, 5, func(q *quorumTest) {
		// What 3 of 5 nodes agree about is known, whatever the other nodes answer.
		wantState(q, q.inspect("job"), `nobody holds "job": it is free on 3 of 5 nodes; 0 wait`)
		lock := q.lock("job", redlock.WithTTL(time.Minute))
		time.Sleep(10 * time.Second)
		wantState(q, q.inspect("job"), `"job" is held by ours on 3 of 5 nodes, for 50s if it is not extended; 0 wait`)

		// A key on a minority only does not hold the lock.
		q.Node(0).Delete("job")
		q.Node(1).Delete("job")
		wantState(q, q.inspect("job"), `"job" is held by ours on 3 of 5 nodes, for 50s if it is not extended; 0 wait`)
		q.Node(2).Delete("job")
		wantState(q, q.inspect("job"), `nobody holds "job": it is free on 3 of 5 nodes; 0 wait`)
		_ = lock.Unlock(context.Background()) // a majority lost it
		time.Sleep(time.Second)               // the rest is being released

		q.first(3, func(n *redlocktest.Node) { n.Hold("job", "another", 0) })
		s := q.inspect("job")
		if s.TTL >= 0 || s.Holder == "" {
			q.Errorf("a key without a time to live: %v", s)
		}
		q.first(3, func(n *redlocktest.Node) { n.Delete("job") })

		q.first(2, (*redlocktest.Node).Freeze)
		begun := time.Now()
		wantState(q, q.inspect("job"), `nobody holds "job": it is free on 3 of 5 nodes; 0 wait`)
		if took := time.Since(begun); took != 0 {
			q.Errorf("two of five frozen: %v", took)
		}
		q.first(3, (*redlocktest.Node).Freeze)
		_, err := q.rival.Inspect(context.Background(), "job")
		wantError(q, err, redlock.ErrNoQuorum, context.DeadlineExceeded)
		inTime(q, "Inspect", 50*time.Millisecond, func(ctx context.Context) error {
			_, err := q.rival.Inspect(ctx, "job")
			return err
		})
		if _, err := q.rival.Inspect(context.Background(), ""); err == nil {
			q.Error("a lock without a name was inspected")
		}
		q.endFaults()
		time.Sleep(10 * time.Second) // go-redis is still at work on what the frozen masters were asked
	})
}

func TestInABubbleInspectCountsTheWaiters(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		c := &crowd{q: q}
		for i := range 7 {
			c.arrive([]*redlock.Locker{q.ours, third, third}[i%3])
		}
		time.Sleep(time.Second)
		if n, err := q.rival.Waiters(context.Background(), "job"); n != 7 || err != nil {
			q.Errorf("%d wait, %v", n, err)
		}
		mustUnlock(q, lock)
		c.mustBeServed()
		time.Sleep(10 * time.Millisecond) // a majority confirmed the last release; so has the rest
		if n, err := q.rival.Waiters(context.Background(), "job"); n != 0 || err != nil {
			q.Errorf("in the end %d wait, %v", n, err)
		}
		// Without fairness a Locker knows its own.
		lock = q.lock("job", redlock.WithKeepAlive())
		for range 3 {
			p := q.ours.LockAsync(context.Background(), "job")
			defer p.Cancel()
		}
		if n, err := q.ours.Waiters(context.Background(), "job"); n != 3 || err != nil {
			q.Errorf("at home %d wait, %v", n, err)
		}
		mustUnlock(q, lock)
	})
}

// next waits for a change, and reports when it came.
func (q *quorumTest) nextChange(changes <-chan redlock.Change, kind redlock.ChangeKind, holder string) (took time.Duration) {
	q.Helper()
	begun := time.Now()
	select {
	case c, open := <-changes:
		if !open || c.Kind != kind || c.State.Holder != holder {
			q.Errorf("got %v, want %v %s", c, kind, holder)
		}
	case <-time.After(time.Minute):
		q.Errorf("nothing after a minute, want %v %s", kind, holder)
	}
	return time.Since(begun)
}

const lookPeriod = 250 * time.Millisecond // the longest retry delay

func TestInABubbleAWatchReportsWhatHappensToALock(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		ctx, cancel := context.WithCancel(context.Background())
		changes, err := q.rival.Watch(ctx, "job")
		if err != nil {
			q.Fatal(err)
		}
		q.nextChange(changes, redlock.Released, "")
		for range 3 {
			lock := q.lock("job", redlock.WithKeepAlive())
			if took := q.nextChange(changes, redlock.Acquired, "ours"); took > lookPeriod {
				q.Errorf("notified of a grant after %v", took)
			}
			time.Sleep(time.Minute) // extended, which is no change
			mustUnlock(q, lock)
			if took := q.nextChange(changes, redlock.Released, ""); took != 0 {
				q.Errorf("notified of a release after %v", took)
			}
		}

		lock := q.lock("job", redlock.WithTTL(10*time.Second))
		q.nextChange(changes, redlock.Acquired, "ours")
		q.nextChange(changes, redlock.Expired, "")
		if late := time.Since(lock.Until()); late > 200*time.Millisecond { // drift and 2 ms earlier
			q.Errorf("notified %v after Until", late)
		}

		q.first(2, (*redlocktest.Node).Freeze)
		q.nextChange(changes, redlock.Unknown, "")
		q.endFaults()
		q.nextChange(changes, redlock.Released, "")

		// A reader that is late misses all but the last change.
		for range 5 {
			mustUnlock(q, q.lock("job"))
			time.Sleep(time.Second)
		}
		lock = q.lock("job")
		time.Sleep(time.Second)
		q.nextChange(changes, redlock.Acquired, "ours")
		mustUnlock(q, lock)
		q.nextChange(changes, redlock.Released, "")

		cancel()
		if c, open := <-changes; open {
			q.Errorf("after the end: %v", c)
		}
	})
}

func TestInABubbleAWatchEndsWithItsLocker(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		changes, err := q.rival.Watch(context.Background(), "job")
		if err != nil {
			q.Fatal(err)
		}
		q.nextChange(changes, redlock.Released, "")
		settle(q, q.rival)
		if c, open := <-changes; open {
			q.Errorf("after the end: %v", c)
		}
		if _, err := q.rival.Watch(context.Background(), "job"); !errors.Is(err, redlock.ErrClosed) {
			q.Error(err)
		}
		if _, err := q.rival.Inspect(context.Background(), "job"); !errors.Is(err, redlock.ErrClosed) {
			q.Error(err)
		}
	})
}

// A watch must not look like a waiter: waiters would let it go first.
func TestInABubbleAWatchDoesNotSlowDownWaiters(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if _, err := q.rival.Watch(ctx, "job"); err != nil {
			q.Fatal(err)
		}
		time.Sleep(time.Second)
		begun := time.Now()
		for range 100 {
			mustUnlock(q, q.lock("job"))
		}
		// Each would back off for half a millisecond on average. A leftover of the cycle before
		// may cost a pause of some microseconds.
		if took := time.Since(begun); took > 5*time.Millisecond {
			q.Errorf("100 cycles took %v", took)
		}
	})
}
