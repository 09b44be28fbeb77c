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
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// In every mode, through every library, on servers.
func TestNoSlotHasTwoHolders(t *testing.T) {
	const slots = 3
	inEveryMode(t, func(t *testing.T, all servers, lockers []*redlock.Locker) {
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
}

// A reply that is lost costs no second slot, whichever is free by then.
func TestAnAttemptThatIsSentAgainHasTheSlotThatItHas(t *testing.T) {
	oneMaster(t, func(t *testing.T, s *redisproc.Server, ask func(node.Verb, node.Entry, time.Duration, node.WaiterFlag) node.Answer) {
		for _, right := range []string{"-mget", "+mget"} { // without it each slot is read by itself
			for _, command := range [][]string{{"ACL", "SETUSER", "default", right}, {"FLUSHALL"}} {
				if _, err := s.Do(command...); err != nil {
					t.Fatal(err)
				}
			}
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

// admit is the script of a semaphore that counts: a server admits a member if it has fewer than two.
const admit = `if redis.call('ZCARD', KEYS[1]) < 2 then redis.call('ZADD', KEYS[1], 1, ARGV[1]) return 1 end return 0`

// Three clients, of which each reaches two of three masters. A master that counts members has two in each
// case, so all three clients have a majority. Of slots each is on a majority, and there are two.
func TestASemaphoreThatCountsLetsThreeInWhereOursLetsTwo(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		all.must(t, "FLUSHALL")
		counted, ours := 0, 0
		for client := range 3 { // it does not reach the master of its number
			admitted := int64(0)
			pools := make([]pool.Pool, 3)
			for i, s := range all {
				if i == client {
					pools[i] = cutOff{}
					continue
				}
				pools[i] = lib.Open(t, s.Addr(), nil)
				n, err := s.Do("EVAL", admit, "1", "members", fmt.Sprint("client ", client))
				if err != nil {
					t.Fatal(err)
				}
				admitted += n.(int64)
			}
			if admitted == 2 {
				counted++
			}
			// The third client asks again for some node timeouts: it is given different slots.
			l, err := redlock.New(pools, redlock.WithTTL(time.Minute), redlock.WithNodeTimeout(500*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			s, err := semaphore.New(l, "jobs", 2)
			if err != nil {
				t.Fatal(err)
			}
			p, err := s.TryAcquire(within20(t))
			if err == nil {
				ours++
				defer func() {
					if err := p.Release(within20(t)); err != nil {
						t.Error(err)
					}
					_ = l.Close(within20(t))
				}()
			} else {
				_ = l.Close(within20(t))
			}
		}
		if counted != 3 || ours != 2 {
			t.Errorf("with two places the one that counts let %d in, want 3, and ours %d, want 2", counted, ours)
		}
	})
}

// cutOff is a master that a client does not reach.
type cutOff struct{}

func (cutOff) String() string { return "out of reach" }
func (cutOff) Do(context.Context, ...any) (any, error) {
	return nil, fmt.Errorf("%w: no route to host", pool.ErrNotSent)
}
