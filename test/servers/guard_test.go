package servers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// The guard against restarts, with servers that really do. Virtual time and every order
// of events are for the tests of the core, and for the random crowds.

const guardedTTL = time.Second

// A master is a server that may forget: a real one, or one in memory.
type master struct {
	addr    string
	forgets map[string]func() error
}

func realMasters(t *testing.T, n int, args ...string) (all []master) {
	for _, s := range startServers(t, n, redisproc.Options{Args: args}) {
		command := func(args ...string) func() error {
			return func() error { _, err := s.Do(args...); return err }
		}
		all = append(all, master{s.Addr(), map[string]func() error{
			"it restarted":         s.Restart,
			"it was flushed":       command("FLUSHALL"),
			"scripts were flushed": command("SCRIPT", "FLUSH"),
		}})
	}
	return all
}

func mastersInMemory(t *testing.T, n int) (all []master) {
	for _, node := range redlocktest.New(t, n).Nodes() {
		all = append(all, master{node.Addr(), map[string]func() error{
			"it restarted":         node.StartEmpty,
			"scripts were flushed": func() error { node.FlushScripts(); return nil },
		}})
	}
	return all
}

func TestAMasterThatMayHaveForgottenLocksGrantsNoneUntilTheyHaveExpired(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(t *testing.T) []master{
		"without persistence": func(t *testing.T) []master { return realMasters(t, 1) },
		"with persistence":    func(t *testing.T) []master { return realMasters(t, 1, "--appendonly", "yes") },
		"in memory":           func(t *testing.T) []master { return mastersInMemory(t, 1) },
	}
	for kind, start := range kinds {
		t.Run(kind, func(t *testing.T) {
			withTwo(t, func(t *testing.T, lib library) {
				t.Parallel()
				m := start(t)[0]
				locker := lib.Locker(t, []string{m.addr}, redlock.WithTTL(guardedTTL), redlock.WithNodeTimeout(guardedTTL/2), redlock.WithRestartGuard(guardedTTL))
				grants := func() (bool, error) {
					lock, err := locker.TryLock(context.Background(), "job")
					if err == nil {
						mustUnlock(t, lock)
						return true, nil
					}
					return false, err
				}
				begun := time.Now()
				mustUnlock(t, mustLock(t, locker, "job"))
				if waited := time.Since(begun); waited < guardedTTL {
					t.Errorf("a new one granted a lock after %v", waited)
				}
				for what, forget := range m.forgets {
					if err := forget(); err != nil {
						t.Fatal(err)
					}
					forgot := time.Now()
					harmless := strings.HasPrefix(what, "scripts")
					// A connection that the restart broke may cost an attempt.
					var refused bool
					eventually(t, "it grants a lock", func() bool {
						granted, err := grants()
						refused = refused || err != nil && strings.Contains(err.Error(), "GUARDQUARANTINE")
						return granted
					})
					if waited := time.Since(forgot); !harmless && (waited < guardedTTL || !refused) || harmless && refused {
						t.Errorf("%s: it granted a lock after %v, and refused before: %v", what, waited, refused)
					}
				}
			})
		})
	}
}

// The hole of TestRestartOfANodeWithoutItsDataCanBreakExclusion is closed.
func TestWithTheGuardARestartWithoutDataLetsNoSecondHolderIn(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 5, redisproc.Options{})
		const timeout = 300 * time.Millisecond // an Unlock has to be answered in that time, on a busy machine, too
		const ttl = 3 * time.Second
		opts := []redlock.Option{redlock.WithTTL(ttl), redlock.WithNodeTimeout(timeout), redlock.WithRestartGuard(ttl)}
		first, second := lib.Locker(t, all.addrs(), opts...), lib.Locker(t, all.addrs(), opts...)
		mustUnlock(t, mustLock(t, first, "job"))
		eventually(t, "all nodes count", func() bool {
			lock := mustLock(t, first, "job")
			defer mustUnlock(t, lock)
			time.Sleep(timeout)
			return all.carry("job") == 5
		})
		all[3].Kill()
		all[4].Kill()
		lock := mustLock(t, first, "job")
		eventually(t, "three nodes carry the lock", func() bool { return all[:3].carry("job") == 3 })
		time.Sleep(2 * timeout) // see TestRestartOfANodeWithoutItsDataCanBreakExclusion

		all[2].Kill()
		for _, s := range all[2:] {
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		other := mustLock(t, second, "job", redlock.WithRetryDelay(10*time.Millisecond, 20*time.Millisecond))
		if got := time.Now(); got.Before(lock.Until()) {
			t.Errorf("a second holder, %v before the first one's lock ends", time.Until(lock.Until()))
		}
		mustUnlock(t, other)
		_ = lock.Unlock(context.Background())
	})
}
