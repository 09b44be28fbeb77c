package redlock

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// alias is a second name of a node.
type alias struct {
	pool.Pool
	name string
}

func (a alias) String() string { return a.name }

// underTwoNames runs f with a Locker whose first nodes are one server, under so many names.
func underTwoNames(t *testing.T, names, others int, f func(t *testing.T, l *Locker, twin *fakenode.Node, others []*fakenode.Node), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		nodes, pools := fakenode.Pools(1 + others)
		for i := range names - 1 {
			pools = append(pools, alias{nodes[0], "alias " + string(rune('a'+i))})
		}
		l, err := New(pools, append([]Option{WithOwner("me")}, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		f(t, l, nodes[0], nodes[1:])
		for _, n := range nodes {
			n.Thaw()
		}
		if err := l.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
		for i, n := range nodes {
			for _, key := range []string{"first", "k"} {
				if n.Get(key) != "" {
					t.Errorf("node %d has %s", i, key)
				}
			}
		}
	})
}

func TestAServerUnderTwoNamesIsNoMajority(t *testing.T) {
	for name, opts := range map[string][]Option{"plain": nil, "fencing": {WithFencing()}, "guarded": {WithRestartGuard(8 * time.Second)}} {
		t.Run(name, func(t *testing.T) {
			underTwoNames(t, 2, 1, func(t *testing.T, l *Locker, _ *fakenode.Node, others []*fakenode.Node) {
				time.Sleep(time.Minute) // no node is in quarantine
				if lock, err := l.Lock(t.Context(), "first", WithMaxWait(time.Minute)); err != nil {
					t.Fatalf("with all servers: %v", err)
				} else if err := lock.Unlock(t.Context()); err != nil {
					t.Error(err)
				}
				others[0].Freeze()
				_, err := l.TryLock(t.Context(), "k")
				if !errors.Is(err, ErrNoQuorum) || !strings.Contains(err.Error(), "another node is the same server") {
					t.Errorf("with one server of two: %v", err)
				}
			}, opts...)
		})
	}
	t.Run("three names of one server", func(t *testing.T) {
		underTwoNames(t, 3, 0, func(t *testing.T, l *Locker, _ *fakenode.Node, _ []*fakenode.Node) {
			if _, err := l.TryLock(t.Context(), "k"); !errors.Is(err, ErrNoQuorum) {
				t.Error(err)
			}
		})
	})
}

func TestALockIsNotExtendedByAServerUnderTwoNames(t *testing.T) {
	underTwoNames(t, 2, 1, func(t *testing.T, l *Locker, _ *fakenode.Node, others []*fakenode.Node) {
		lock, err := l.Lock(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if held, _ := lock.Held(); held != 2 {
			t.Errorf("held by %d nodes, want 2 servers", held)
		}
		others[0].Freeze()
		if err := lock.Extend(t.Context()); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("Extend: %v", err)
		}
		others[0].Thaw()
		_ = lock.Unlock(t.Context())
	})
}

func TestAServerUnderTwoNamesIsReportedOnceForEachName(t *testing.T) {
	var reports atomic.Int32
	var node atomic.Value
	trace := &Trace{Same: func(name string) { reports.Add(1); node.Store(name) }}
	underTwoNames(t, 2, 1, func(t *testing.T, l *Locker, _ *fakenode.Node, _ []*fakenode.Node) {
		for range 3 {
			lock, err := l.Lock(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			if err := lock.Unlock(t.Context()); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if reports.Load() < 1 || reports.Load() > 2 { // either of the names may be the second
			t.Errorf("reported %d times", reports.Load())
		}
	}, WithTrace(trace))
}

func TestALostReplyIsNoSecondNameOfAServer(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].EndIdle(1, 0) // what is sent is carried out, or not; it is sent again
		lock, err := f.TryLock(f.t.Context(), "k")
		if err != nil {
			f.t.Fatal(err)
		}
		synctest.Wait()
		if held, _ := lock.Held(); held != 3 {
			f.t.Errorf("held by %d nodes", held)
		}
		_ = lock.Unlock(f.t.Context())
	})
}
