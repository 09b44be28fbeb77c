package servers_test

import (
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

// A library hall knows who is inside: readers together, a writer alone.
type hall struct {
	mu       sync.Mutex
	readers  int
	writer   bool
	most     int
	newest   uint64 // the largest token of a writer
	released uint64 // the same, of those that have left
}

// enter notes that somebody is inside with a token. seen is released when it began to wait.
func (h *hall) enter(t *testing.T, shared bool, token, seen uint64) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.writer || !shared && h.readers > 0 {
		t.Errorf("shared %v beside %d readers, a writer: %v", shared, h.readers, h.writer)
	}
	switch {
	case shared && token < seen:
		t.Errorf("a reader with token %d after a writer with %d", token, seen)
	case !shared && token > 0 && token <= h.newest:
		t.Errorf("a writer with token %d after %d", token, h.newest)
	}
	if shared {
		h.readers++
		h.most = max(h.most, h.readers)
	} else {
		h.writer, h.newest = true, max(h.newest, token)
	}
}

func (h *hall) leave(shared bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if shared {
		h.readers--
	} else {
		h.writer, h.released = false, h.newest
	}
}

func (h *hall) seen() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.released
}

// In every mode, through every library, on servers.
func TestReadersShareAndWritersHoldAlone(t *testing.T) {
	inEveryMode(t, func(t *testing.T, all servers, lockers []*redlock.Locker) {
		h := new(hall)
		key := fmt.Sprintf("book-%d", rand.Uint64())
		var callers sync.WaitGroup
		for i := range 8 {
			shared, take := i > 1, lockers[i%2].Lock
			if shared {
				take = lockers[i%2].RLock
			}
			callers.Go(func() {
				for n := range 10 {
					seen := h.seen()
					lock, err := take(within20(t), key)
					if err != nil {
						t.Error(err)
						return
					}
					h.enter(t, shared, lock.Token(), seen)
					time.Sleep(time.Millisecond)
					if shared || n%2 == 0 {
						h.leave(shared)
						mustUnlock(t, lock)
						continue
					}
					h.leave(false)
					h.enter(t, true, lock.Token(), 0)
					if err := lock.Downgrade(within20(t)); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
					h.leave(true)
					mustUnlock(t, lock)
				}
			})
		}
		callers.Wait()
		if h.most < 2 {
			t.Error("no two readers were inside together")
		}
		eventually(t, "no key of the lock is left", func() bool { return all.carry(key)+all.carry("{"+key+"}:queue") == 0 })
	})
}

// oneMaster runs a test that asks one server, through two libraries.
func oneMaster(t *testing.T, test func(t *testing.T, s *redisproc.Server, ask func(verb node.Verb, e node.Entry, ttl time.Duration, flag node.WaiterFlag) node.Answer)) {
	s := redisproc.Start(t, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		if _, err := s.Do("FLUSHALL"); err != nil {
			t.Fatal(err)
		}
		b := backend{name: "server", node: node.New(lib.Open(t, s.Addr(), nil))}
		defer b.node.Stop()
		test(t, s, func(verb node.Verb, e node.Entry, ttl time.Duration, flag node.WaiterFlag) node.Answer {
			return b.askFor(t, verb, e, ttl, flag)
		})
	})
}

func reading(value string) node.Entry { return node.NewEntry("job", value).Shared(false) }

const one, two, alone = "rl1:00000000000000000000000000000001:one", "rl1:00000000000000000000000000000002:two", "rl1:00000000000000000000000000000003:alone"

func TestAReaderThatHasEndedIsNotRevived(t *testing.T) {
	oneMaster(t, func(t *testing.T, s *redisproc.Server, ask func(node.Verb, node.Entry, time.Duration, node.WaiterFlag) node.Answer) {
		if a := ask(node.Acquire, reading(one), 20*time.Millisecond, node.WaiterFlag{}); a.Status != node.Granted {
			t.Fatalf("%+v", a)
		}
		if a := ask(node.Acquire, reading(two), time.Hour, node.WaiterFlag{}); a.Status != node.Granted {
			t.Fatalf("%+v", a)
		}
		time.Sleep(40 * time.Millisecond)
		if a := ask(node.Extend, reading(one), time.Hour, node.WaiterFlag{}); a.Status != node.Absent {
			t.Errorf("extended: %+v", a)
		}
		if a := ask(node.Inspect, node.NewEntry("job", ""), 0, node.WaiterFlag{}); a.Holder != "rs1:1:"+two {
			t.Errorf("%+v, want that only two reads", a)
		}
		if a := ask(node.Release, reading(one), 0, node.WaiterFlag{}); a.Status != node.Absent {
			t.Errorf("released: %+v", a)
		}
		if a := ask(node.Release, reading(two), 0, node.WaiterFlag{}); a.Status != node.Deleted {
			t.Errorf("released: %+v", a)
		}
		if n, _ := s.Do("DBSIZE"); n != int64(0) { // the one that has ended goes with the last
			t.Errorf("%v keys are left", n)
		}
	})
}

// An acquisition that is carried out twice does not set back what an extension has set since.
func TestAReaderThatJoinsTwiceKeepsItsLongerLease(t *testing.T) {
	oneMaster(t, func(t *testing.T, s *redisproc.Server, ask func(node.Verb, node.Entry, time.Duration, node.WaiterFlag) node.Answer) {
		ask(node.Acquire, reading(one), time.Second, node.WaiterFlag{})
		ask(node.Extend, reading(one), time.Hour, node.WaiterFlag{})
		if a := ask(node.Acquire, reading(one), time.Second, node.WaiterFlag{}); a.Status != node.Granted || !a.Found {
			t.Errorf("%+v", a)
		}
		ask(node.Acquire, reading(two), time.Second, node.WaiterFlag{})
		a := ask(node.AcquireOrFlag, node.NewEntry("job", alone), time.Second, node.WaiterFlag{ID: "w", TTL: time.Second})
		if a.Status != node.Taken || a.TTL < 59*time.Minute {
			t.Errorf("%+v, want that it is taken for an hour", a)
		}
		ask(node.Release, reading(one), 0, node.WaiterFlag{})
		if a := ask(node.Inspect, node.NewEntry("job", ""), 0, node.WaiterFlag{}); a.TTL > time.Second {
			t.Errorf("%+v, want that the key does not outlive the last reader", a)
		}
	})
}

// A writer that waits keeps new readers out until it has held the lock: an attempt that won too few nodes
// gives the key back, and not its turn.
func TestTheMarkOfAWriterOutlivesAnAttemptThatIsRolledBack(t *testing.T) {
	oneMaster(t, func(t *testing.T, s *redisproc.Server, ask func(node.Verb, node.Entry, time.Duration, node.WaiterFlag) node.Answer) {
		waits := node.WaiterFlag{ID: "w.1", TTL: time.Hour, Position: node.QueuePosition{Intent: true}}
		step := func(what string, a node.Answer, want node.Status) {
			t.Helper()
			if a.Status != want {
				t.Fatalf("%s: %+v", what, a)
			}
		}
		writer := node.NewEntry("job", alone)
		step("a reader comes", ask(node.Acquire, reading(one), time.Hour, node.WaiterFlag{}), node.Granted)
		step("a writer waits", ask(node.AcquireOrFlag, writer, time.Hour, waits), node.Taken)
		step("the next reader", ask(node.Acquire, reading(two), time.Hour, node.WaiterFlag{}), node.Queued)
		step("the first one leaves", ask(node.Release, reading(one), 0, node.WaiterFlag{ID: "r"}), node.Deleted)
		step("an attempt of the writer", ask(node.AcquireOrFlag, writer, time.Hour, waits), node.Granted)
		step("it is rolled back", ask(node.Release, writer, 0, node.WaiterFlag{}), node.Deleted)
		step("the next reader", ask(node.Acquire, reading(two), time.Hour, node.WaiterFlag{}), node.Queued)
		step("another attempt", ask(node.AcquireOrFlag, writer, time.Hour, waits), node.Granted)
		step("it held the lock", ask(node.Release, writer, 0, node.WaiterFlag{ID: "w", Position: node.QueuePosition{Intent: true}}), node.Deleted)
		step("the next reader", ask(node.Acquire, reading(two), time.Hour, node.WaiterFlag{}), node.Granted)
	})
}

func TestOtherDataIsNoLockOfReaders(t *testing.T) {
	oneMaster(t, func(t *testing.T, s *redisproc.Server, ask func(node.Verb, node.Entry, time.Duration, node.WaiterFlag) node.Answer) {
		for _, data := range [][]string{{"ZADD", "job", "7", "somebody"}, {"RPUSH", "job", "a"}, {"HSET", "job", "a", "b"}} {
			if _, err := s.Do(data...); err != nil {
				t.Fatal(err)
			}
			for _, a := range []node.Answer{
				ask(node.Acquire, reading(one), time.Second, node.WaiterFlag{}),
				ask(node.Extend, reading(one), time.Second, node.WaiterFlag{}),
				ask(node.Release, reading(one), 0, node.WaiterFlag{}),
				ask(node.Acquire, node.NewEntry("job", alone), time.Second, node.WaiterFlag{}),
			} {
				if a.Status != node.Failed || !strings.Contains(a.Err.Error(), "WRONGTYPE") {
					t.Errorf("%v: %+v", data, a)
				}
			}
			if n, err := s.Do("DEL", "job"); err != nil || n != int64(1) {
				t.Errorf("%v: %v, %v", data, n, err)
			}
		}
	})
}

// A user without the right to make a reader must not lose the lock by trying.
func TestADowngradeWithoutTheRightToItKeepsTheLock(t *testing.T) {
	all := startServers(t, 1, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		all.must(t, "ACL", "SETUSER", "default", "-zadd")
		defer all.must(t, "ACL", "SETUSER", "default", "+@all")
		l := lib.Locker(t, all.addrs(), patient)
		lock := mustLock(t, l, "job", redlock.WithTTL(time.Minute))
		if err := lock.Downgrade(within20(t)); err == nil {
			t.Error("it was downgraded without the right to ZADD")
		}
		if all.carry("job") != 1 {
			t.Error("the key is gone")
		}
		mustUnlock(t, lock)
		if _, err := l.TryRLock(within20(t), "job"); err == nil || !strings.Contains(err.Error(), "SECURITY.md") {
			t.Errorf("%v, want what is needed for it", err)
		}
	})
}

// To keep and to release a lock needs no memory, and that of a reader neither. To take one does.
func TestToReadOnNeedsNoMemory(t *testing.T) {
	oneMaster(t, func(t *testing.T, s *redisproc.Server, ask func(node.Verb, node.Entry, time.Duration, node.WaiterFlag) node.Answer) {
		limit := func(bytes string) {
			if _, err := s.Do("CONFIG", "SET", "maxmemory", bytes); err != nil {
				t.Fatal(err)
			}
		}
		defer limit("0")
		for _, e := range []node.Entry{reading(one), reading(two), node.NewEntry("other", alone)} {
			if a := ask(node.Acquire, e, time.Minute, node.WaiterFlag{}); a.Status != node.Granted {
				t.Fatalf("%+v", a)
			}
		}
		limit("1")
		for what, e := range map[string]node.Entry{"of a reader": reading(one), "to a reader": node.NewEntry("other", alone).Shared(false)} {
			if a := ask(node.Extend, e, time.Hour, node.WaiterFlag{}); a.Status != node.Extended {
				t.Errorf("extension %s: %+v", what, a)
			}
			if a := ask(node.Release, e, 0, node.WaiterFlag{}); a.Status != node.Deleted {
				t.Errorf("release %s: %+v", what, a)
			}
		}
		if a := ask(node.Acquire, node.NewEntry("third", alone).Shared(false), time.Hour, node.WaiterFlag{}); a.Err == nil {
			t.Errorf("%+v, want that it needs memory", a)
		}
	})
}

// What a user may not look at is not for that reason taken, or free and waited for by others.
func TestAMissingRightIsNoLockThatIsTaken(t *testing.T) {
	all := startServers(t, 1, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		defer all.must(t, "ACL", "SETUSER", "default", "+@all")
		l := lib.Locker(t, all.addrs(), patient)
		all.must(t, "ACL", "SETUSER", "default", "-zscore")
		if _, err := l.TryRLock(within20(t), "job"); !errors.Is(err, redlock.ErrNoQuorum) || !strings.Contains(err.Error(), "SECURITY.md") {
			t.Errorf("%v, want what is needed for readers", err)
		}
		all.must(t, "ACL", "SETUSER", "default", "-get", "-mget")
		imports, err := semaphore.New(l, "imports", 2)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := imports.TryAcquire(within20(t)); !errors.Is(err, redlock.ErrNoQuorum) || !strings.Contains(err.Error(), "SECURITY.md") {
			t.Errorf("%v, want what is needed for slots", err)
		}
	})
}
