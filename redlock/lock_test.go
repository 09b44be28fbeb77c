package redlock

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// A fixture is a Locker on fake nodes in a bubble of virtual time.
type fixture struct {
	*Locker
	t      *testing.T
	nodes  []*fakenode.Node
	client func(*fakenode.Node) pool.Pool // makes pools of nodes
	clock  *clock.Fake
	// others are further Lockers on the same nodes, closed in the end.
	others []*Locker
}

// inBubble runs f in bubbles on n fake nodes, behind clients of either kind. The bubble itself fails the test
// if anything is left running; the fixture, if a key is.
func inBubble(t *testing.T, n int, f func(f *fixture), opts ...Option) {
	t.Helper()
	for kind, client := range fakenode.Clients {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes, pools := fakenode.Pools(n)
				for i, n := range nodes {
					pools[i] = client(n)
				}
				fake := new(clock.Fake)
				l, err := newLocker(fake, pools, append([]Option{WithOwner("me")}, opts...))
				if err != nil {
					t.Fatal(err)
				}
				l.group.Trust() // what is asked first is what is asked
				fixture := &fixture{Locker: l, t: t, nodes: nodes, client: client, clock: fake}
				f(fixture)
				for _, n := range nodes {
					n.Thaw()
					n.Set(fakenode.Faults{})
				}
				for _, l := range append(fixture.others, l) {
					if err := l.Close(context.Background()); err != nil {
						t.Errorf("Close: %v", err)
					}
				}
			})
		})
	}
}

// pipelined reports whether the nodes are behind clients that call back.
func (f *fixture) pipelined() bool {
	_, ok := f.client(f.nodes[0]).(pool.Submitter)
	return ok
}

// newPools returns the fixture's nodes as pools.
func newPools(f *fixture) (pools []pool.Pool) {
	for _, n := range f.nodes {
		pools = append(pools, f.client(n))
	}
	return pools
}

func mustNew(t *testing.T, f *fixture) *Locker {
	t.Helper()
	l, err := New(newPools(f))
	if err != nil {
		t.Fatal(err)
	}
	l.group.Trust()
	return l
}

// lock takes a lock and waits until the nodes that did not decide have got it,
// too, if they can.
func (f *fixture) lock(name string, opts ...LockOption) *Lock {
	f.t.Helper()
	k, err := f.Lock(context.Background(), name, opts...)
	if err != nil {
		f.t.Fatalf("Lock: %v", err)
	}
	synctest.Wait()
	return k
}

func (f *fixture) unlock(k *Lock) {
	f.t.Helper()
	if err := k.Unlock(context.Background()); err != nil {
		f.t.Errorf("Unlock: %v", err)
	}
}

// carriers counts the nodes with a key.
func (f *fixture) carriers(key string) int {
	n := 0
	for _, node := range f.nodes {
		if node.Get(key) != "" {
			n++
		}
	}
	return n
}

func (f *fixture) wantCarriers(key string, want int) {
	f.t.Helper()
	synctest.Wait()
	if got := f.carriers(key); got != want {
		f.t.Errorf("%d nodes carry %q, want %d", got, key, want)
	}
}

func wantIs(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error %q does not match %q", err, target)
		}
	}
}

func TestLockIsHeldByAllNodesAndGoneAfterUnlock(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 7} {
		inBubble(t, n, func(f *fixture) {
			k := f.lock("job")
			f.wantCarriers("job", n)
			if held, total := k.Held(); held != n || total != n {
				t.Errorf("Held() = %d of %d, want all of %d", held, total, n)
			}
			if k.Name() != "job" || k.Context().Err() != nil {
				t.Errorf("name %q, context %v", k.Name(), k.Context().Err())
			}
			f.unlock(k)
			f.wantCarriers("job", 0)
			wantIs(t, context.Cause(k.Context()), ErrReleased)
		})
	}
}

func TestUntilIsTTLLessDriftFromBeforeTheFirstSend(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 100 * time.Millisecond})
		}
		before := time.Now()
		k := f.lock("job", WithTTL(10*time.Second))
		if took := time.Since(before); took != 100*time.Millisecond {
			t.Errorf("Lock took %v", took)
		}
		want := before.Add(10*time.Second - 100*time.Millisecond - 2*time.Millisecond)
		if got := k.Until(); !got.Equal(want) {
			t.Errorf("Until() is %v off", got.Sub(want))
		}
		f.unlock(k)
	})
}

func TestTakenLockNamesItsHolderAndOnHowManyNodes(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		synctest.Wait()
		_, err := f.TryLock(context.Background(), "job")
		wantIs(t, err, ErrTaken)
		if want := `redlock: lock "job": lock is taken by me on 2 of 3 nodes`; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		f.unlock(k)
	})
}

func TestOneFrozenNodeOfThreeCostsNothing(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[1].Freeze()
		start := time.Now()
		k := f.lock("job")
		if err := k.Extend(context.Background()); err != nil {
			t.Errorf("Extend: %v", err)
		}
		f.unlock(k)
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v of virtual time, want none", took)
		}
		time.Sleep(time.Minute) // the acquire that waits takes effect on thaw
		f.nodes[1].Thaw()
		time.Sleep(time.Second)
		f.wantCarriers("job", 0)
	})
}

// A lock is one allocation with what its claim and its lease need. A few bytes more, and
// the next size class of the allocator is a fifth larger.
func TestLockFitsItsSizeClass(t *testing.T) {
	const class, header = 1152, 8
	if size := unsafe.Sizeof(Lock{}); unsafe.Sizeof(size) == 8 && size+header > class {
		t.Errorf("a Lock has %d bytes, more than %d", size, class-header)
	}
}
