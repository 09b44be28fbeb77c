package servers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

func TestAKilledNodeOfThreeIsDoneWithout(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		locker := lib.Locker(t, all.addrs(), redlock.WithTTL(2*time.Second), redlock.WithNodeTimeout(500*time.Millisecond))
		held := mustLock(t, locker, "held")
		all[0].Kill()
		if err := held.Extend(context.Background()); err != nil {
			t.Error(err)
		}
		mustUnlock(t, held)
		for range 10 {
			mustUnlock(t, mustLock(t, locker, "job"))
		}

		all[1].Kill()
		_, err := locker.TryLock(context.Background(), "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, all[0].Addr(), all[1].Addr())
		if err := errors.Join(all[0].Restart(), all[1].Restart()); err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, mustLock(t, locker, "job"))
		all.wantEmpty(t)
	})
}

// Else locks stay on two of three for ever, and the next restart loses them.
func TestNodesThatRestartEmptyOneAfterTheOtherDoNotCostTheLock(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		locker := lib.Locker(t, all.addrs(), redlock.WithTTL(2*time.Second), redlock.WithNodeTimeout(500*time.Millisecond))
		rival := lib.Locker(t, all.addrs(), redlock.WithTTL(2*time.Second), redlock.WithNodeTimeout(500*time.Millisecond))
		lock := mustLock(t, locker, "job", redlock.WithKeepAlive())
		for i := range all {
			eventually(t, "all nodes carry the lock", func() bool { return all.carry("job") == 3 })
			if err := all[i].Restart(); err != nil {
				t.Fatal(err)
			}
			if n := all.carry("job"); n != 2 {
				t.Logf("node %d was taken again before the test looked: %d carry the lock", i, n)
			}
		}
		eventually(t, "all nodes carry the lock", func() bool { return all.carry("job") == 3 })
		_, err := rival.TryLock(context.Background(), "job")
		wantError(t, err, redlock.ErrTaken)
		if err := context.Cause(lock.Context()); err != nil {
			t.Errorf("lost: %v", err)
		}
		mustUnlock(t, lock)
		all.wantEmpty(t)
	})
}

// With appendfsync always even a restart of all nodes at once loses nothing that
// was acknowledged: the assumption that nodes do not forget holds.
func TestNodesThatPersistEveryWriteCanAllBeKilledAtOnce(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
		opts := []redlock.Option{redlock.WithTTL(20 * time.Second)}
		locker, rival := lib.Locker(t, all.addrs(), opts...), lib.Locker(t, all.addrs(), opts...)
		lock := mustLock(t, locker, "job")
		eventually(t, "all nodes carry the lock", func() bool { return all.carry("job") == 3 })
		for _, s := range all {
			s.Kill()
		}
		for _, s := range all {
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		if n := all.carry("job"); n != 3 {
			t.Errorf("%d nodes carry the lock after the restart", n)
		}
		_, err := rival.TryLock(context.Background(), "job")
		wantError(t, err, redlock.ErrTaken)
		// A connection that the restart broke may cost one round.
		eventually(t, "it can be extended", func() bool { return lock.Extend(context.Background()) == nil })
		mustUnlock(t, lock)
		all.wantEmpty(t)
	})
}
