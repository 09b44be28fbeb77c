package quorum_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// named is a client under another name.
type named struct {
	pool.Pool
	name string
}

func (n named) String() string { return n.name }

// A script takes the lock with these options, so its replies say whose value is there.
var scriptModes = map[string][]redlock.Option{
	"plain":             nil,
	"fair":              {redlock.WithFair()},
	"fair, with tokens": {redlock.WithFair(), redlock.WithFencing()},
	"fair, guarded":     {redlock.WithFair(), redlock.WithRestartGuard(8 * time.Second)},
}

func TestInABubbleAServerUnderTwoNamesCountsOnceInEveryMode(t *testing.T) {
	for mode, opts := range scriptModes {
		t.Run(mode, func(t *testing.T) {
			withTwo(t, func(t *testing.T, lib library) {
				bubble(t, lib, func(t *testing.T) {
					cluster := redlocktest.NewInMemory(t, 2)
					first, second := cluster.Addrs()[0], cluster.Addrs()[1]
					var reports atomic.Int64
					open := func() *redlock.Locker {
						pools := []pool.Pool{lib.Open(t, first, cluster.Dial), named{lib.Open(t, first, cluster.Dial), "another name"}, lib.Open(t, second, cluster.Dial)}
						trace := &redlock.Trace{Same: func(string) { reports.Add(1) }}
						l, err := redlock.New(pools, append(opts, redlock.WithTrace(trace))...)
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { settle(t, l) })
						return l
					}
					ours, rival := open(), open()
					lock, err := ours.Lock(t.Context(), "job", redlock.WithMaxWait(time.Minute)) // after a quarantine, with a guard
					if err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if held, _ := lock.Held(); held != 2 {
						t.Errorf("held on %d nodes of 2 servers", held)
					}
					if reports.Load() != 1 {
						t.Errorf("reported %d times", reports.Load())
					}
					next := rival.LockAsync(t.Context(), "job")
					time.Sleep(time.Second)
					mustUnlock(t, lock)
					if lock, err = next.Wait(t.Context()); err != nil {
						t.Fatal(err)
					}
					mustUnlock(t, lock)
					synctest.Wait() // until what came late under the other name is released, too

					cluster.Nodes()[1].Stop()
					_, err = ours.TryLock(context.Background(), "job")
					wantError(t, err, redlock.ErrNoQuorum)
					wantText(t, err, "another node is the same server")
					cluster.Nodes()[1].Start()
				})
			})
		})
	}
}
