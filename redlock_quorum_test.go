package quorumlock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

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
	"foreign":         func(n *redlocktest.Node) { n.Hold("job", "somebody else", 0) },
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

func TestWithoutAMajorityNobodyGetsTheLock(t *testing.T) {
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

		q.mend()
		eventually(q, "the failed attempt is undone", func() bool { return q.carriers("job") == 0 })
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
		q.first(3, func(n *redlocktest.Node) { n.Hold("job", "somebody else", 0) })
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
