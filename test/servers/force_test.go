package servers_test

import (
	"context"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

func TestForceReleaseTakesALockFromAnyHolderAndTouchesNoData(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		holder, l := lib.Locker(t, all.addrs(), redlock.WithOwner("web-1")), lib.Locker(t, all.addrs())
		ctx := within20(t)
		lock := mustLock(t, holder, "job", redlock.WithKeepAlive(), redlock.WithTTL(3*time.Second))
		eventually(t, "all have it", func() bool { return all.carry("job") == 3 })
		next := l.LockAsync(ctx, "job", redlock.WithRetryDelay(time.Minute, time.Minute))
		eventually(t, "the next one listens", func() bool { return all.subscribed(t, "job") == 3 })
		ended, err := l.ForceRelease(ctx, "job")
		if err != nil || ended.Held != "web-1" || len(ended.Holders) != 1 || ended.Holders[0].Nodes != 3 {
			t.Errorf("%v, %v", ended, err)
		}
		got, err := next.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		<-lock.Context().Done() // the test's time is the bound
		wantError(t, context.Cause(lock.Context()), redlock.ErrLost)
		mustUnlock(t, got)

		all.must(t, "SET", "foreign", ofRedsync, "PX", "60000")
		if ended, err = l.ForceRelease(ctx, "foreign"); err != nil || ended.Held == "" || all.carry("foreign") != 0 {
			t.Errorf("%v, %v", ended, err)
		}
		all.must(t, "SET", "crashed", ofRedsync) // its client crashed before it set the time to live
		if _, err = l.ForceRelease(ctx, "crashed"); err != nil || all.carry("crashed") != 0 {
			t.Errorf("%v, %v", ended, err)
		}
		all.must(t, "SET", "data", "42")
		all.must(t, "SETRANGE", "big", "1000000", "x")
		all.must(t, "HSET", "hash", "field", "value")
		for _, name := range []string{"data", "big", "hash"} {
			_, err = l.ForceRelease(ctx, name)
			wantError(t, err, redlock.ErrNoQuorum)
			wantText(t, err, "nothing was deleted")
			if all.carry(name) != 3 {
				t.Errorf("%s is gone", name)
			}
		}
	})
}
