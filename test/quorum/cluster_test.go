package quorum_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// A quorumTest is a cluster of in-memory masters, a Locker of ours and one of a
// rival. Whatever the faults, when the test ends they are over,
// both Lockers must be able to settle everything, and no key of ours is left.
type quorumTest struct {
	testing.TB
	*redlocktest.Cluster
	ours, rival *redlock.Locker

	// forever is set by tests with a TTL that they cannot wait for: Close need
	// not become certain about every command.
	forever bool
}

// onCluster runs a test on n masters over TCP, with every library.
func onCluster(t *testing.T, n int, test func(q *quorumTest), opts ...redlock.Option) {
	t.Helper()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		test(newQuorumTest(t, lib, redlocktest.New(t, n), nil, unhurried(opts)...))
	})
}

// inBubble runs a test on n masters in virtual time, with two libraries: what
// would take an hour takes none.
func inBubble(t *testing.T, n int, test func(q *quorumTest), opts ...redlock.Option) {
	t.Helper()
	withTwo(t, func(t *testing.T, lib library) {
		bubble(t, lib, func(t *testing.T) {
			cluster := redlocktest.NewInMemory(t, n)
			test(newQuorumTest(t, lib, cluster, cluster.Dial, opts...))
		})
	})
}

// goRedisBubble is held by the one bubble that uses go-redis: its clients share timers,
// and what belongs to one bubble must not reach another.
var goRedisBubble sync.Mutex

// bubble runs a test in virtual time, beside that of another library.
func bubble(t *testing.T, lib library, test func(t *testing.T)) {
	t.Parallel()
	if lib.Name == viaGoRedis.Name {
		goRedisBubble.Lock()
		defer goRedisBubble.Unlock()
	}
	synctest.Test(t, test)
}

func newQuorumTest(t testing.TB, lib library, cluster *redlocktest.Cluster, dial dialFunc, opts ...redlock.Option) *quorumTest {
	q := &quorumTest{TB: t, Cluster: cluster}
	t.Cleanup(func() { // runs after the Lockers have closed
		if q.forever { // what Close gave up may come late
			return
		}
		for i, keys := range ourKeys(cluster) {
			for _, key := range keys {
				t.Errorf("key %q of ours is left on node %d", key, i)
			}
		}
	})
	q.ours = lib.NewLocker(t, cluster.Addrs(), dial, append(opts, redlock.WithOwner("ours"))...)
	q.rival = lib.NewLocker(t, cluster.Addrs(), dial, append(opts, redlock.WithOwner("rival"))...)
	t.Cleanup(q.end)
	return q
}

func (q *quorumTest) end() {
	q.endFaults()
	for _, locker := range []*redlock.Locker{q.ours, q.rival} {
		if !q.forever {
			settle(q, locker)
			continue
		}
		// It is not certain of what is long true. What was sent to a node that was frozen comes
		// late, also on a busy machine, and then its release.
		none := 0
		eventually(q, "no key of ours is left", func() bool {
			if none++; len(slices.Concat(ourKeys(q.Cluster)...)) > 0 {
				none = 0
			}
			return none > 20
		})
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		_ = locker.Close(ctx) // says so
		cancel()
	}
}

// ourKeys are the keys with a value of ours, for each master.
func ourKeys(cluster *redlocktest.Cluster) (keys [][]string) {
	for _, node := range cluster.Nodes() {
		var ours []string
		for _, key := range node.Keys() {
			if value, _ := node.Get(key); strings.HasPrefix(value, "rl1:") {
				ours = append(ours, key)
			}
		}
		keys = append(keys, ours)
	}
	return keys
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

// majority is how many masters may not fail.
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
