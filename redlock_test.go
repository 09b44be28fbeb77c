// Package quorumlock_test shows what a lock on several masters does when some of them
// fail: read it first. The masters are in memory, the clients are real. Where the lock is:
//
//   - redlock takes it, pool is what it needs of a Redis client,
//   - pool/goredis and pool/redigo are adapters for clients,
//   - fence refuses holders that come too late,
//   - redlocktest has masters in memory for the tests of services.
//
// All other tests of the whole are in the folder test.
package quorumlock_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	redigoclient "github.com/gomodule/redigo/redis"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

const outOfMemory = "OOM command not allowed when used memory > 'maxmemory'."

// failures are the ways in which a master does not take part.
var failures = map[string]func(*redlocktest.Node){
	"stopped":         (*redlocktest.Node).Stop,
	"frozen":          (*redlocktest.Node).Freeze,
	"cut off":         func(n *redlocktest.Node) { n.DropRequests(true) },
	"not heard":       func(n *redlocktest.Node) { n.DropReplies(true) },
	"out of memory":   func(n *redlocktest.Node) { n.FailWith(outOfMemory) },
	"foreign":         func(n *redlocktest.Node) { n.Hold("job", "another", 0) },
	"slow by an hour": func(n *redlocktest.Node) { n.Delay(time.Hour) },
}

// A quorumCase is a scenario for masters that fail in one of these ways.
type quorumCase func(q *quorumTest, fail func(*redlocktest.Node))

// onSizes runs a scenario on one, three and five masters: in virtual time with
// every failure, and over TCP with the two that differ there.
func onSizes(t *testing.T, test quorumCase) {
	for _, n := range []int{1, 3, 5} {
		for name, fail := range failures {
			name = fmt.Sprintf("%d masters, %s", n, name)
			t.Run(name+", in a bubble", func(t *testing.T) {
				inBubble(t, n, func(q *quorumTest) { test(q, fail) })
			})
		}
		t.Run(fmt.Sprintf("%d masters, stopped", n), func(t *testing.T) {
			t.Parallel()
			onCluster(t, n, func(q *quorumTest) { test(q, (*redlocktest.Node).Stop) })
		})
	}
	t.Run("3 masters, frozen", func(t *testing.T) {
		t.Parallel()
		onCluster(t, 3, func(q *quorumTest) { test(q, (*redlocktest.Node).Freeze) }, redlock.WithTTL(6*time.Second), redlock.WithNodeTimeout(3*time.Second))
	})
}

func TestAMajorityGrantsAndReleasesWhateverTheMinorityDoes(t *testing.T) {
	onSizes(t, func(q *quorumTest, fail func(*redlocktest.Node)) {
		q.first(q.minority(), fail)
		lock := q.lock("job")
		if held, total := lock.Held(); held < q.majority() || total != q.Len() {
			q.Errorf("held on %d of %d", held, total)
		}
		if _, err := q.rival.TryLock(context.Background(), "job"); !errors.Is(err, redlock.ErrTaken) {
			q.Errorf("a rival got %v", err)
		}
		if err := lock.Extend(context.Background()); err != nil {
			q.Error(err)
		}
		mustUnlock(q, lock)
	})
}

func TestWithoutAMajorityNoClientGetsTheLock(t *testing.T) {
	onSizes(t, func(q *quorumTest, fail func(*redlocktest.Node)) {
		q.first(q.majority(), fail)
		for range 2 {
			lock, err := q.ours.TryLock(context.Background(), "job")
			var refused *redlock.QuorumError
			if lock != nil || !errors.As(err, &refused) {
				q.Fatalf("got %v, %v", lock, err)
			}
			if refused.Granted >= refused.Needed || refused.Needed != q.majority() || refused.Total != q.Len() {
				q.Errorf("%d granted of %d needed and %d in all", refused.Granted, refused.Needed, refused.Total)
			}
		}
	})
}

func TestNoQuorumNamesEveryNodeThatFailedAndWhatToDo(t *testing.T) {
	onCluster(t, 3, func(q *quorumTest) {
		q.first(2, func(n *redlocktest.Node) { n.FailWith(outOfMemory) })
		_, err := q.ours.TryLock(context.Background(), "job")
		wantError(q, err, redlock.ErrNoQuorum)
		wantText(q, err, q.Addrs()[0], q.Addrs()[1], "OOM", "raise maxmemory")

		q.endFaults()
		eventually(q, "the failed attempt is rolled back", func() bool { return q.carriers("job") == 0 })
		q.first(2, (*redlocktest.Node).Freeze)
		_, err = q.ours.TryLock(context.Background(), "job")
		wantError(q, err, redlock.ErrNoQuorum, context.DeadlineExceeded)
		wantText(q, err, q.Addrs()[0], q.Addrs()[1])
	}, redlock.WithTTL(time.Second), redlock.WithNodeTimeout(300*time.Millisecond))
}

func TestATakenLockIsTakenAndNamesItsHolder(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		onCluster(t, n, func(q *quorumTest) {
			lock := mustLock(q, q.rival, "job")
			_, err := q.ours.TryLock(context.Background(), "job")
			wantError(q, err, redlock.ErrTaken)
			wantText(q, err, "by rival on", fmt.Sprintf("of %d nodes", n))
			if errors.Is(err, redlock.ErrNoQuorum) {
				q.Errorf("%v is no failure of the nodes", err)
			}
			mustUnlock(q, lock)
			mustUnlock(q, q.lock("job"))
		})
	}
}

func TestAForeignHolderIsTakenAndItsValueIsNotShown(t *testing.T) {
	onCluster(t, 3, func(q *quorumTest) {
		const value = "value of another library"
		q.first(2, func(n *redlocktest.Node) { n.Hold("job", value, time.Minute) })
		_, err := q.ours.TryLock(context.Background(), "job")
		wantError(q, err, redlock.ErrTaken)
		wantText(q, err, "foreign holder #", "on 2 of 3 nodes")
		for _, node := range q.Nodes()[:2] {
			if left, _ := node.Get("job"); left != value {
				q.Errorf("the foreign holder lost its key: %q", left)
			}
		}
	}, redlock.WithNodeTimeout(5*time.Second)) // both have to answer, also on a busy machine
}

// A holder with an empty value holds the lock, and our release of something
// that we never took leaves it alone.
func TestAForeignHolderWithAnEmptyValueIsLeftAlone(t *testing.T) {
	onCluster(t, 3, func(q *quorumTest) {
		q.first(2, func(n *redlocktest.Node) { n.Hold("job", "", time.Minute) })
		_, err := q.ours.TryLock(context.Background(), "job")
		wantError(q, err, redlock.ErrTaken)
		eventually(q, "the partial win is rolled back", func() bool { return q.carriers("job") == 0 })
		for i, node := range q.Nodes()[:2] {
			if value, exists := node.Get("job"); !exists || value != "" {
				q.Errorf("node %d: the foreign key became %q, %v", i, value, exists)
			}
		}
	})
}

func TestAPartialWinIsRolledBackAtOnce(t *testing.T) {
	onCluster(t, 5, func(q *quorumTest) {
		q.first(3, func(n *redlocktest.Node) { n.Hold("job", "another", 0) })
		_, err := q.ours.TryLock(context.Background(), "job", redlock.WithTTL(time.Hour))
		wantError(q, err, redlock.ErrTaken)
		eventually(q, "no node carries the votes of the failed attempt", func() bool { return q.carriers("job") == 0 })

		q.first(3, func(n *redlocktest.Node) { n.Delete("job") })
		lock, err := q.rival.TryLock(context.Background(), "job")
		if err != nil {
			q.Fatalf("our own votes stood in the way: %v", err)
		}
		mustUnlock(q, lock)
	})
}

// A quorumTest is a cluster of masters, a Locker of ours and one of a rival. Whatever the
// faults, when the test ends they are over, both Lockers must be able to settle everything,
// and no key of ours is left.
type quorumTest struct {
	testing.TB
	*redlocktest.Cluster
	ours, rival *redlock.Locker
}

func newQuorumTest(t testing.TB, open openFunc, cluster *redlocktest.Cluster, dial dialFunc, opts ...redlock.Option) *quorumTest {
	q := &quorumTest{TB: t, Cluster: cluster}
	t.Cleanup(func() { // runs after the Lockers have closed
		if n := q.carriers("job"); n > 0 {
			t.Errorf("the key is left on %d nodes", n)
		}
	})
	locker := func(owner string) *redlock.Locker {
		var pools []pool.Pool
		for _, addr := range cluster.Addrs() {
			pools = append(pools, open(t, addr, dial))
		}
		l, err := redlock.New(pools, append(opts, redlock.WithOwner(owner))...)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	q.ours, q.rival = locker("ours"), locker("rival")
	t.Cleanup(func() {
		q.endFaults()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := errors.Join(q.ours.Close(ctx), q.rival.Close(ctx)); err != nil {
			t.Errorf("at the end of the test: %v", err)
		}
	})
	return q
}

// endFaults ends all faults.
func (q *quorumTest) endFaults() {
	for _, node := range q.Nodes() {
		node.Thaw()
		node.Delay(0)
		node.DropRequests(false)
		node.DropReplies(false)
		node.FailWith("")
		if err := node.Start(); err != nil {
			q.Error(err)
		}
	}
}

// first does something to the first n masters.
func (q *quorumTest) first(n int, do func(*redlocktest.Node)) {
	for _, node := range q.Nodes()[:n] {
		do(node)
	}
}

// minority and majority are how many masters may fail, and how many may not.
func (q *quorumTest) minority() int { return (q.Len() - 1) / 2 }
func (q *quorumTest) majority() int { return q.Len()/2 + 1 }

func (q *quorumTest) lock(name string, opts ...redlock.LockOption) *redlock.Lock {
	q.Helper()
	return mustLock(q, q.ours, name, opts...)
}

// carriers is the number of masters on which a key has a value of ours.
func (q *quorumTest) carriers(key string) (n int) {
	for _, node := range q.Nodes() {
		if value, _ := node.Get(key); strings.HasPrefix(value, "rl1:") {
			n++
		}
	}
	return n
}

func mustLock(t testing.TB, l *redlock.Locker, name string, opts ...redlock.LockOption) *redlock.Lock {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	lock, err := l.Lock(ctx, name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

func mustUnlock(t testing.TB, lock *redlock.Lock) {
	t.Helper()
	if err := lock.Unlock(context.Background()); err != nil {
		t.Error(err)
	}
}

func wantError(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("got %v, want an error that matches %q", err, target)
		}
	}
}

func wantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("the error %q does not say %q", fmt.Sprint(err), part)
		}
	}
}

func eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !reached(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("never: %s", what)
			return
		}
	}
}

// An openFunc opens a client of one master. dial replaces the way there; nil is the
// client's own.
type openFunc func(t testing.TB, addr string, dial dialFunc) pool.Pool

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// clients are the clients and their modes, with default options.
var clients = map[string]openFunc{
	"go-redis": func(t testing.TB, addr string, dial dialFunc) pool.Pool {
		return goredis.New(newGoRedis(t, addr, dial))
	},
	"go-redis pipelined": func(t testing.TB, addr string, dial dialFunc) pool.Pool {
		p := goredis.NewPipelined(newGoRedis(t, addr, dial))
		t.Cleanup(func() { _ = p.Close() })
		return p
	},
	"redigo": func(t testing.TB, addr string, dial dialFunc) pool.Pool {
		connections := &redigoclient.Pool{DialContext: redigoDial(addr, dial), MaxIdle: 16}
		t.Cleanup(func() { _ = connections.Close() })
		return redigo.New(connections, redigo.WithName(addr))
	},
	"redigo pipelined": func(t testing.TB, addr string, dial dialFunc) pool.Pool {
		p := redigo.NewPipelined(redigoDial(addr, dial), redigo.WithName(addr))
		t.Cleanup(func() { _ = p.Close() })
		return p
	},
}

func newGoRedis(t testing.TB, addr string, dial dialFunc) *redis.Client {
	opts := &redis.Options{Addr: addr, Dialer: dial}
	if dial != nil {
		opts.DialerRetries = 1 // a bubble does not end before a dial that is repeated after Close
		// go-redis holds a mutex while it waits for the answer to this part of
		// its greeting: the time of a bubble would stand still.
		opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func redigoDial(addr string, dial dialFunc) func(context.Context) (redigoclient.Conn, error) {
	var opts []redigoclient.DialOption
	if dial != nil {
		opts = append(opts, redigoclient.DialContextFunc(dial))
	}
	return func(ctx context.Context) (redigoclient.Conn, error) {
		return redigoclient.DialContext(ctx, "tcp", addr, opts...)
	}
}

// onCluster runs a test on n masters over TCP, with every client.
func onCluster(t *testing.T, n int, test func(q *quorumTest), opts ...redlock.Option) {
	t.Helper()
	opts = append([]redlock.Option{redlock.WithNodeTimeout(time.Second)}, opts...) // on a busy machine
	for name, open := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newQuorumTest(t, open, redlocktest.New(t, n), nil, opts...))
		})
	}
}

// inBubble runs a test on n masters in virtual time, with a client of each kind: what
// would take an hour takes none.
func inBubble(t *testing.T, n int, test func(q *quorumTest)) {
	t.Helper()
	for _, name := range []string{"go-redis", "redigo pipelined"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "go-redis" {
				goRedisBubble.Lock()
				defer goRedisBubble.Unlock()
			}
			synctest.Test(t, func(t *testing.T) {
				cluster := redlocktest.NewInMemory(t, n)
				test(newQuorumTest(t, clients[name], cluster, cluster.Dial))
			})
		})
	}
}

// goRedisBubble is held by the one bubble that uses go-redis: its clients share timers,
// and what belongs to one bubble must not reach another.
var goRedisBubble sync.Mutex

func TestMain(m *testing.M) {
	redis.SetLogger(silence{}) // it reports every dial that was refused, which is what tests are about here
	m.Run()
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
