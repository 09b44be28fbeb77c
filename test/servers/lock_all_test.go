package servers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// A ledger knows who holds which name, and which token was the last.
type ledger struct {
	mu     sync.Mutex
	held   map[string]bool
	tokens map[string]uint64
}

// enter notes that names are held with a token.
func (l *ledger) enter(t *testing.T, names []string, token uint64) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		if l.held[name] {
			t.Errorf("two hold %s", name)
		}
		if l.tokens[name] >= token && token > 0 {
			t.Errorf("%s: token %d after %d", name, token, l.tokens[name])
		}
		l.held[name], l.tokens[name] = true, max(token, l.tokens[name])
	}
}

func (l *ledger) leave(names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		l.held[name] = false
	}
}

// Sets and single names, in every mode, through every library, on servers.
func TestSetsAndSingleNamesExcludeEachOther(t *testing.T) {
	modes := map[string]struct {
		locker []redlock.Option
		lock   []redlock.LockOption
	}{
		"plain":   {nil, nil},
		"fenced":  {nil, []redlock.LockOption{redlock.WithFencing()}},
		"fair":    {nil, []redlock.LockOption{redlock.WithFair()}},
		"guarded": {[]redlock.Option{redlock.WithRestartGuard(4 * time.Second), redlock.WithTTL(4 * time.Second)}, []redlock.LockOption{redlock.WithFair(), redlock.WithFencing()}},
	}
	all := startServers(t, 3, redisproc.Options{})
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			withEach(t, func(t *testing.T, lib library) {
				opts := append([]redlock.Option{redlock.WithTTL(8 * time.Second)}, mode.locker...)
				lockers := []*redlock.Locker{lib.Locker(t, all.addrs(), opts...), lib.Locker(t, all.addrs(), opts...)}
				if mode.locker != nil { // a new node keeps all out for a while
					eventually(t, "the quarantine is over", func() bool {
						lock, err := lockers[0].TryLock(context.Background(), "first")
						if err == nil {
							mustUnlock(t, lock)
						}
						return err == nil
					})
				}
				l := &ledger{held: make(map[string]bool), tokens: make(map[string]uint64)}
				names := []string{"a", "b", "c", "d"}
				var callers sync.WaitGroup
				for i := range 6 {
					callers.Go(func() {
						for range 10 {
							some := slices.Clone(names)
							rand.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
							some = some[:1+rand.IntN(3)]
							lock, err := lockers[i%2].LockAll(within20(t), some, mode.lock...)
							if err != nil {
								t.Error(err)
								return
							}
							l.enter(t, some, lock.Token())
							time.Sleep(time.Millisecond)
							l.leave(some)
							mustUnlock(t, lock)
						}
					})
				}
				callers.Wait()
				eventually(t, "no key of a lock is left", func() bool {
					left := 0
					for _, name := range append(names, "{a}:queue", "{d}:queue") {
						left += all.carry(name)
					}
					return left == 0
				})
			})
		})
	}
}

func TestLockAllTakes128NamesOnServers(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withEach(t, func(t *testing.T, lib library) {
		l := lib.Locker(t, all.addrs())
		var names []string
		for i := range 128 {
			names = append(names, fmt.Sprintf("name-%03d", i))
		}
		taken := mustLock(t, l, names[77])
		_, err := l.TryLockAll(within20(t), names, redlock.WithFencing())
		wantError(t, err, redlock.ErrTaken)
		wantText(t, err, `lock is taken: "name-077" by `)
		mustUnlock(t, taken)
		lock, err := l.LockAll(within20(t), names, redlock.WithFencing(), redlock.WithFair())
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "every server has the last one", func() bool { return all.carry(names[127]) == 3 })
		if err := lock.Extend(within20(t)); err != nil {
			t.Error(err)
		}
		mustUnlock(t, lock)
		eventually(t, "all are free", func() bool { return all.carry(names[0])+all.carry(names[127]) == 0 })
	})
}
