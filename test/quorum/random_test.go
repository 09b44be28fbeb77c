package quorum_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// Random crowds of callers and random faults, in virtual time: never two holders,
// fencing tokens that grow, no waiter waits for ever for a free lock, first come, first served where that is
// promised, and nothing is left. A seed that fails is enough to see it again.

// A mayhem is one random run.
type mayhem struct {
	*quorumTest
	random *rand.Rand // used by one goroutine, before the actors begin
	kind   kind
	fenced bool
	forget bool // masters restart without their data; restarts are guarded
	third  *redlock.Locker
	wire   *wire
	begun  time.Time

	mu      sync.Mutex
	holders map[int]*redlock.Lock
	token   uint64 // of the last holder
	served  []visit
	story   []string
}

// A kind of crowd says how its callers wait, and what goes wrong meanwhile.
type kind struct {
	name string
	fair func(i int) bool
	// orderly crowds have at least a majority of healthy masters all the time, and
	// a way to them: first come, first served.
	orderly bool
}

var kinds = []kind{
	{"plain", func(int) bool { return false }, false},
	{"fair", func(int) bool { return true }, false},
	{"fair, a minority fails", func(int) bool { return true }, true},
	{"mixed", func(i int) bool { return i%2 == 0 }, false},
}

// A visit is one lock that was granted.
type visit struct {
	caller  int
	arrived time.Duration
}

const (
	mayhemTime = 5 * time.Second // in which actors arrive and things go wrong
	mayhemTTL  = 2 * time.Second
	// registered is the time after which a majority has registered a caller,
	// also where a minority does not answer: three attempts, with pauses.
	registered = 1200 * time.Millisecond
)

func TestInABubbleRandomCrowdsAndFaults(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			withSome(t, func(t *testing.T, lib library) {
				t.Parallel()
				for n := range rounds(1, 250) { // for each library and kind of crowd
					synctest.Test(t, func(t *testing.T) { runMayhem(t, lib, k, lib.Seed(n)) })
					if t.Failed() {
						return
					}
				}
			})
		})
	}
}

func runMayhem(t *testing.T, lib library, k kind, seed uint64) {
	cluster := redlocktest.NewInMemory(t, 3)
	opts := []redlock.Option{redlock.WithTTL(mayhemTTL)}
	forget := seed%4 < 2
	if forget {
		opts = append(opts, redlock.WithRestartGuard(mayhemTTL))
	}
	m := &mayhem{
		quorumTest: newQuorumTest(t, lib, cluster, cluster.Dial, opts...),
		random:     rand.New(rand.NewPCG(seed, 7)),
		kind:       k,
		fenced:     seed%2 == 0,
		forget:     forget,
		wire:       newWire(cluster),
		begun:      time.Now(),
		holders:    make(map[int]*redlock.Lock),
	}
	m.third = lib.NewLocker(t, cluster.Addrs(), m.wire.dial, append(opts, redlock.WithOwner("third"))...)
	t.Cleanup(func() { settle(t, m.third) })

	mustUnlock(m, m.lock("job")) // waits until the masters count, if they are guarded
	m.begun = time.Now()
	var actors sync.WaitGroup
	for i := range 8 + m.random.IntN(24) {
		m.act(&actors, i)
	}
	for range 1 + m.random.IntN(8) {
		m.plague(&actors)
	}
	time.Sleep(mayhemTime)
	m.endFaults()
	m.wire.restore()
	m.note("all faults end")

	// Every waiter is served: a lock that was left to expire costs a TTL, a
	// dead position its lease, everything else a retry delay at most.
	ended := make(chan struct{})
	go func() { actors.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Errorf("a caller still waits")
	}
	if k.orderly {
		m.checkOrder()
	}
	mustUnlock(m, m.lock("job"))
	time.Sleep(3 * positionLease)
	for i, node := range m.Nodes() {
		for _, key := range node.Keys() {
			if strings.HasPrefix(key, "{job}:") && key != "{job}:fence" { // which has a long life
				t.Errorf("key %q is left on node %d", key, i)
			}
		}
	}
	if t.Failed() {
		t.Logf("seed %d:\n%s", seed, strings.Join(m.story, "\n"))
	}
}

func (m *mayhem) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.story = append(m.story, fmt.Sprintf("%6d ms  ", time.Since(m.begun).Milliseconds())+fmt.Sprintf(format, args...))
}

// act lets an actor arrive some time, wait in some way and do some work.
func (m *mayhem) act(actors *sync.WaitGroup, i int) {
	l := []*redlock.Locker{m.ours, m.rival, m.third}[m.random.IntN(3)]
	if m.kind.orderly && l == m.third {
		l = m.ours // its wire may be cut
	}
	var opts []redlock.LockOption
	if m.kind.fair(i) {
		opts = append(opts, redlock.WithFair())
	}
	if m.fenced {
		opts = append(opts, redlock.WithFencing())
	}
	arrival := time.Duration(m.random.Int64N(int64(mayhemTime)))
	patience := 2 * time.Minute
	if m.random.IntN(4) == 0 {
		patience = time.Duration(m.random.Int64N(int64(2 * time.Second)))
	}
	work := time.Duration(m.random.Int64N(int64(30 * time.Millisecond)))
	how := m.random.IntN(10)
	actors.Go(func() {
		time.Sleep(arrival)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		m.note("%d arrives, way %d, patience %v", i, how, patience)
		arrived := time.Since(m.begun)
		switch how {
		case 0:
			lock, err := l.TryLock(ctx, "job", opts...)
			if err == nil {
				m.hold(i, -1, lock, work)
			}
		case 1: // leaves it to expire
			if lock, err := l.Lock(ctx, "job", opts...); err == nil {
				m.hold(i, arrived, lock, 2*mayhemTTL)
			}
		case 2:
			_ = l.Do(ctx, "job", func(ctx context.Context) error {
				lock, _ := redlock.FromContext(ctx)
				m.enter(i, arrived, lock)
				select {
				case <-lock.Context().Done():
				case <-time.After(work):
				}
				m.leave(i)
				return nil
			}, opts...)
		default:
			pending := l.LockAsync(ctx, "job", opts...)
			lock, err := pending.Wait(ctx)
			if err != nil {
				pending.Cancel()
				m.note("%d gives up: %v", i, err)
				return
			}
			m.hold(i, arrived, lock, work)
		}
	})
}

// enter notes a holder. There may be one whose lock has just ended, and that has not run
// since: it is released at the same time, but never before its context ended.
func (m *mayhem) enter(i int, arrived time.Duration, lock *redlock.Lock) {
	m.note("%d holds", i)
	m.mu.Lock()
	defer m.mu.Unlock()
	for other, held := range m.holders {
		if held.Context().Err() == nil {
			m.Errorf("%d holds it, and so does %d", i, other)
		}
	}
	if m.fenced != (lock.Token() > 0) || m.fenced && lock.Token() <= m.token {
		m.Errorf("%d has the token %d, after %d", i, lock.Token(), m.token)
	}
	m.holders[i], m.token = lock, lock.Token()
	if arrived >= 0 {
		m.served = append(m.served, visit{i, arrived})
	}
}

func (m *mayhem) leave(i int) {
	m.mu.Lock()
	delete(m.holders, i)
	m.mu.Unlock()
	m.note("%d is done", i)
}

// hold works while the lock is certainly held.
func (m *mayhem) hold(i int, arrived time.Duration, lock *redlock.Lock, work time.Duration) {
	m.enter(i, arrived, lock)
	select {
	case <-lock.Context().Done():
	case <-time.After(work):
	}
	m.leave(i)
	_ = lock.Unlock(context.Background()) // whatever the masters let it do
}

// plague lets something go wrong some time, and ends it some time later.
func (m *mayhem) plague(actors *sync.WaitGroup) {
	node := m.Node(m.random.IntN(3))
	if m.kind.orderly {
		node = m.Node(2)
	}
	// None restarts without its data unless that is guarded: a lock that is held by two
	// of three would have two holders then, as docs/guarantees.md says.
	whats := 7
	if m.forget {
		whats = 10
	}
	what := m.random.IntN(whats)
	delay := time.Duration(m.random.IntN(300)) * time.Millisecond
	from := time.Duration(m.random.Int64N(int64(mayhemTime)))
	length := min(time.Duration(m.random.Int64N(int64(3*time.Second))), mayhemTime-from)
	actors.Go(func() {
		time.Sleep(from)
		m.note("plague %d on %s for %v", what, node.Addr(), length)
		switch what {
		case 0:
			node.Freeze()
			time.Sleep(length)
			node.Thaw()
		case 1:
			node.Stop()
			time.Sleep(length)
			if err := node.Start(); err != nil {
				m.Error(err)
			}
		case 2:
			node.DropReplies(true)
			time.Sleep(length)
			node.DropReplies(false)
		case 3:
			node.DropRequests(true)
			time.Sleep(length)
			node.DropRequests(false)
		case 4:
			node.Delay(delay)
			time.Sleep(length)
			node.Delay(0)
		case 5:
			node.FlushScripts()
		case 6:
			m.wire.sever(node)
			time.Sleep(length)
			m.wire.restore()
		default:
			if err := node.StartEmpty(); err != nil {
				m.Error(err)
			}
		}
	})
}

// checkOrder checks that no caller was served before another that was registered when it
// arrived.
func (m *mayhem) checkOrder() {
	for i, later := range m.served {
		for _, earlier := range m.served[i+1:] {
			if later.arrived > earlier.arrived+registered {
				m.Errorf("%d, which arrived at %v, was served before %d, which arrived at %v", later.caller, later.arrived, earlier.caller, earlier.arrived)
			}
		}
	}
}
