package quorum_test

import (
	"context"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// take takes a lock for a short time, and returns its token.
func (l *queueTest) take(locker *redlock.Locker, name string) uint64 {
	l.Helper()
	ctx := context.Background()
	for i := range 3 { // connections to masters that were away break, and are made anew
		_ = l.look[i].Ping(ctx).Err()
		_, _ = locker.Inspect(ctx, name)
	}
	k, err := locker.Lock(ctx, name)
	if err != nil {
		l.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := k.Unlock(ctx); err != nil {
		l.Error(err)
	}
	time.Sleep(100 * time.Millisecond)
	return k.Token()
}

// restart brings a master back, and has others lock until it counts again.
func (l *queueTest) restart(start func() error, others *redlock.Locker) {
	l.Helper()
	if err := start(); err != nil {
		l.Fatal(err)
	}
	l.take(others, "another") // so its quarantine begins
	time.Sleep(10 * time.Second)
}

const guarded = 8 * time.Second

// The master that knew the token of A restarts without its data, and S asks. The machine
// of S was suspended for an hour: to S all masters are fast by as much.
func TestATokenAfterASuspendIsLargerAlsoWhereItsMasterForgot(t *testing.T) {
	for _, suspended := range []time.Duration{0, time.Hour} {
		withQueue(t, func(l *queueTest) {
			s := l.locker("S", undisturbed, redlock.WithFencing(), redlock.WithRestartGuard(guarded))
			l.take(s, "another") // and knows what time it is
			l.cluster.Advance(suspended)
			a := l.locker("A", undisturbed, redlock.WithFencing(), redlock.WithRestartGuard(guarded))
			l.cluster.Node(2).Stop()
			first := l.take(a, "job") // on the first two
			l.restart(l.cluster.Node(2).Start, a)
			l.restart(l.cluster.Node(1).StartEmpty, a)
			l.cluster.Node(0).Freeze()
			if second := l.take(s, "job"); second <= first {
				t.Errorf("after a suspend of %v: token %d after %d", suspended, second, first)
			}
			l.cluster.Node(0).Thaw()
		})
	}
}

// What the guard cannot do: time makes up for what was forgotten only where the masters
// agree about it.
func TestATokenCanBeSmallerWhereMastersDisagreeAboutTheTimeAndForget(t *testing.T) {
	withQueue(t, func(l *queueTest) {
		l.cluster.Node(0).Advance(time.Hour)
		l.cluster.Node(1).Advance(time.Hour)
		a := l.locker("A", undisturbed, redlock.WithFencing(), redlock.WithRestartGuard(guarded))
		l.cluster.Node(2).Stop()
		first := l.take(a, "job")
		l.restart(l.cluster.Node(2).Start, a)
		l.restart(l.cluster.Node(0).StartEmpty, a)
		l.cluster.Node(1).Freeze()
		b := l.locker("B", undisturbed, redlock.WithFencing(), redlock.WithRestartGuard(guarded))
		if second := l.take(b, "job"); second >= first {
			t.Errorf("token %d after %d: then docs/guarantees.md can promise more", second, first)
		}
		l.cluster.Node(1).Thaw()
	})
}
