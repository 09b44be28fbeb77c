package servers_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// Passwords and rights are changed while services wait with WithFair. A wait outlasts a short
// refusal of the nodes. A refusal that stays ends the wait.
func TestAShortLossOfRightsEndsNoFairWait(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		all.must(t, "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all")
		holder := lib.Locker(t, all.addrs())
		locker := lockerAs(t, lib, all.addrs(), "app", "secret")
		mustUnlock(t, mustLock(t, locker, "other")) // it has reached the nodes
		for name, opts := range map[string][]redlock.LockOption{"plain": nil, "fair": {redlock.WithFair()}} {
			held := mustLock(t, holder, name)
			var pending []*redlock.Pending
			for range 3 {
				pending = append(pending, locker.LockAsync(within20(t), name, opts...))
			}
			eventually(t, "they listen", func() bool { return all.subscribed(t, name) == 3 })
			all.must(t, "ACL", "SETUSER", "app", "-@all")
			time.Sleep(300 * time.Millisecond) // the refusal
			all.must(t, "ACL", "SETUSER", "app", "+@all")
			mustUnlock(t, held)
			for i, p := range pending {
				lock, err := p.Wait(within20(t))
				if err != nil {
					t.Fatalf("%s: the wait of caller %d ended: %v", name, i, err)
				}
				mustUnlock(t, lock)
			}
		}

		held := mustLock(t, holder, "job")
		pending := locker.LockAsync(within20(t), "job", redlock.WithFair())
		all.must(t, "ACL", "SETUSER", "app", "-@all", "+ping")
		_, err := pending.Wait(within20(t))
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "NOPERM", "ACL SETUSER <user> +eval +evalsha ~{")
		mustUnlock(t, held)
		all.must(t, "ACL", "SETUSER", "app", "+@all")
	})
}

// A cluster moves keys between its nodes, and forgets locks when one fails.
func TestNodesOfAClusterAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{Args: []string{"--cluster-enabled", "yes"}})
		locker := lib.Locker(t, all.addrs())
		_, err := locker.TryLock(t.Context(), "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "CLUSTERDOWN", "a lock needs independent masters")

		for i, s := range all {
			for _, other := range all[:i] {
				if _, err := s.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(other.Port)); err != nil {
					t.Fatal(err)
				}
			}
			slots := []string{"CLUSTER", "ADDSLOTS"}
			for slot := i * 16384 / 3; slot < (i+1)*16384/3; slot++ {
				slots = append(slots, strconv.Itoa(slot))
			}
			if _, err := s.Do(slots...); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the cluster works", func() bool {
			for _, s := range all {
				if _, err := s.Do("SET", "x", "y"); err != nil && fmt.Sprint(err)[:5] != "MOVED" {
					return false
				}
			}
			return true
		})
		err = atOnce(t, locker, "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "MOVED", "a lock needs independent masters")
	})
}
