package servers_test

import (
	"context"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
	"github.com/quorumlock/quorumlock/test/internal/testbed"
)

// Nodes do not see through which client a command came: one Locker may have another one for each.
func TestEachMasterOfALockerMayBeReachedThroughAnotherClient(t *testing.T) {
	t.Parallel()
	all := startServers(t, 5, redisproc.Options{})
	mixed := func(from int) *redlock.Locker {
		var pools []pool.Pool
		for i, addr := range all.addrs() {
			pools = append(pools, testbed.Libraries[(from+i)%len(testbed.Libraries)].Open(t, addr, nil))
		}
		locker, err := redlock.New(pools, redlock.WithNodeTimeout(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { testbed.Settle(t, locker) })
		return locker
	}
	first, second := mixed(0), mixed(1)
	ctx := testbed.Patience(t)
	for round := range 2 {
		if round == 1 {
			all[0].Kill()
		}
		held, err := first.Lock(ctx, "job", redlock.WithFencing())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := second.TryLock(ctx, "job"); err == nil {
			t.Fatal("two hold it")
		}
		waiting := second.LockAsync(ctx, "job", redlock.WithFencing(), redlock.WithFair())
		if err := held.Extend(ctx); err != nil {
			t.Error(err)
		}
		mustUnlock(t, held)
		next, err := waiting.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if next.Token() <= held.Token() {
			t.Errorf("token %d after %d", next.Token(), held.Token())
		}
		mustUnlock(t, next)

		reader, err := first.RLock(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		other, err := second.RLock(ctx, "job")
		if err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, reader)
		mustUnlock(t, other)

		set, err := first.LockAll(ctx, []string{"a", "b", "job"})
		if err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, set)
		slots, err := semaphore.New(second, "jobs", 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := slots.Do(ctx, func(context.Context, int) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := all[0].Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no key is left", func() bool {
		left := 0
		for _, key := range []string{"job", "a", "b", "jobs/0", "jobs/1"} {
			left += all.carry(key)
		}
		return left == 0
	})
}
