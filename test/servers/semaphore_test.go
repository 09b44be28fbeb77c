package servers_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// In every mode, through every library, on servers.
func TestNoSlotHasTwoHolders(t *testing.T) {
	const slots = 3
	all := startServers(t, 3, redisproc.Options{})
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			withEach(t, func(t *testing.T, lib library) {
				opts := append([]redlock.Option{patient}, mode...)
				lockers := []*redlock.Locker{lib.Locker(t, all.addrs(), opts...), lib.Locker(t, all.addrs(), opts...)}
				eventually(t, "no quarantine keeps all out", func() bool {
					lock, err := lockers[0].TryLock(context.Background(), "first")
					if err == nil {
						mustUnlock(t, lock)
					}
					return err == nil
				})
				jobs := fmt.Sprintf("jobs-%d", rand.Uint64())
				l := &ledger{held: make(map[string]bool), tokens: make(map[string]uint64)}
				var callers sync.WaitGroup
				for i := range 6 {
					s, err := semaphore.New(lockers[i%2], jobs, slots)
					if err != nil {
						t.Fatal(err)
					}
					callers.Go(func() {
						for range 10 {
							err := s.Do(within20(t), func(ctx context.Context, number int) error {
								lock, _ := redlock.FromContext(ctx)
								slot := []string{fmt.Sprint(number)}
								l.enter(t, slot, lock.Token())
								time.Sleep(time.Millisecond)
								l.leave(slot)
								return ctx.Err()
							})
							if err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				callers.Wait()
				eventually(t, "no key is left", func() bool {
					left := all.carry("{" + jobs + "/}:queue")
					for i := range slots {
						left += all.carry(fmt.Sprintf("%s/%d", jobs, i))
					}
					return left == 0
				})
			})
		})
	}
}

// A reply that is lost costs no second slot, whichever is free by then.
func TestAnAttemptThatIsSentAgainHasTheSlotThatItHas(t *testing.T) {
	oneMaster(t, func(t *testing.T, s *redisproc.Server, ask func(node.Verb, node.Entry, time.Duration, node.WaiterFlag) node.Answer) {
		slots := node.NewSlots("jobs/", "jobs/0", "jobs/1", "jobs/2")
		anyOf := func(value string, first int) node.Entry { return node.NewEntry("", value).AnyOf(slots, first) }
		if a := ask(node.Acquire, anyOf("two", 1), time.Hour, node.WaiterFlag{}); a.Status != node.Granted || a.Index != 1 || a.Found {
			t.Fatalf("%+v", a)
		}
		if a := ask(node.Acquire, anyOf("one", 1), time.Hour, node.WaiterFlag{}); a.Status != node.Granted || a.Index != 2 {
			t.Fatalf("%+v", a)
		}
		if a := ask(node.Release, anyOf("two", 0), 0, node.WaiterFlag{}); a.Status != node.Deleted {
			t.Fatalf("%+v", a)
		}
		for first := range 3 { // 0 and 1 are free
			if a := ask(node.Acquire, anyOf("one", first), time.Hour, node.WaiterFlag{}); a.Status != node.Granted || a.Index != 2 || !a.Found {
				t.Errorf("first %d: %+v", first, a)
			}
		}
		ask(node.Acquire, anyOf("three", 0), time.Minute, node.WaiterFlag{})
		ask(node.Acquire, anyOf("four", 0), 30*time.Minute, node.WaiterFlag{})
		a := ask(node.AcquireOrFlag, anyOf("five", 0), time.Hour, node.WaiterFlag{ID: "me.1", TTL: time.Minute})
		if a.Status != node.Taken || a.TTL > time.Minute {
			t.Errorf("%+v, want that one is free after a minute", a)
		}
		if flag, err := s.Do("GET", "{jobs/}:wait"); flag != "me.1" {
			t.Errorf("flag %v, %v", flag, err)
		}
		if a := ask(node.Release, anyOf("one", 0).Chosen(2), 0, node.WaiterFlag{ID: "other"}); a.Status != node.Deleted || a.NextWaiter != "me.1" {
			t.Errorf("%+v, want that the waiter is notified", a)
		}
	})
}

// What others have under the name of a slot is taken, and stays.
func TestASlotThatIsOtherDataIsTaken(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		all.must(t, "FLUSHALL")
		all.must(t, "RPUSH", "jobs/0", "a list")
		all.must(t, "SET", "jobs/1", "a cache entry")
		l := lib.Locker(t, all.addrs(), patient)
		reader, err := l.RLock(within20(t), "jobs/2", redlock.WithKeepAlive())
		if err != nil {
			t.Fatal(err)
		}
		defer mustUnlock(t, reader)
		s, err := semaphore.New(l, "jobs", 4)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.TryAcquire(within20(t))
		if err != nil || p.Slot() != 3 {
			t.Fatal(p, err)
		}
		if _, err := s.TryAcquire(within20(t)); !errors.Is(err, redlock.ErrTaken) {
			t.Error(err)
		}
		if err := p.Release(within20(t)); err != nil {
			t.Error(err)
		}
		if all.carry("jobs/0") != 3 || all.carry("jobs/1") != 3 {
			t.Error("other data is gone")
		}
	})
}

// While one master of three is frozen, and restarted, permits come and go.
func TestPermitsAreGrantedWhileAMasterIsFrozen(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		l := lib.Locker(t, all.addrs(), patient)
		s, err := semaphore.New(l, "jobs", 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := all[1].Freeze(); err != nil {
			t.Fatal(err)
		}
		var held []*semaphore.Permit
		for range 2 {
			p, err := s.Acquire(within20(t))
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, p)
		}
		if _, err := s.TryAcquire(within20(t)); !errors.Is(err, redlock.ErrTaken) {
			t.Error(err)
		}
		if err := all[1].Thaw(); err != nil {
			t.Fatal(err)
		}
		for _, p := range held {
			if err := p.Extend(within20(t)); err != nil {
				t.Error(err)
			}
			if err := p.Release(within20(t)); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "no slot is left, not even one that the frozen master granted late", func() bool { return all.carry("jobs/0")+all.carry("jobs/1") == 0 })
		if text := held[0].String(); !strings.HasPrefix(text, "slot ") {
			t.Error(text)
		}
	})
}
