package fanout

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/pool"
)

// A bounded client returns by the deadline, and says so.
type bounded struct{ *fakenode.Node }

func (bounded) Bounded() {}

func onBounded(t *testing.T, n int, f func(t *testing.T, g *Group, nodes []*fakenode.Node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		nodes := make([]*fakenode.Node, n)
		pools := make([]pool.Pool, n)
		for i := range nodes {
			nodes[i] = fakenode.New(string(rune('a' + i)))
			pools[i] = bounded{nodes[i]}
		}
		g := NewGroup(pools, 0.01, 0, nil)
		g.Trust()
		f(t, g, nodes)
		for _, n := range nodes {
			n.Set(fakenode.Faults{})
			n.Thaw()
		}
		for _, err := range g.Settle(background) {
			t.Error(err)
		}
		g.Stop()
	})
}

// timeToBegin returns how long it takes until a round has begun.
func timeToBegin(begin func()) time.Duration {
	begun := time.Now()
	begin()
	return time.Since(begun)
}

func TestOnlyNodeIsAskedOnTheGoroutineOfTheCaller(t *testing.T) {
	onBounded(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		const trip = 10 * time.Millisecond
		nodes[0].Set(fakenode.Faults{Delay: trip})
		ctx, cancel := context.WithCancel(background)
		defer cancel()

		c := g.NewClaim("k", "v", timeout)
		var r *Round
		if took := timeToBegin(func() { r = c.Acquire(background, ttl) }); took != trip {
			t.Errorf("an acquire that only its timeout ends begins after %v", took)
		}
		wait(t, r, quorum.Won)
		if took := timeToBegin(func() { r = c.Extend(ctx, ttl, time.Time{}) }); took != 0 {
			t.Errorf("an extension that may be cancelled begins after %v", took)
		}
		wait(t, r, quorum.Won)
		if took := timeToBegin(func() { r = c.Release(ctx) }); took != trip {
			t.Errorf("a release, which no cancellation ends, begins after %v", took)
		}
		wait(t, r, quorum.Won)

		c = g.NewClaim("k", "w", timeout)
		at, done := context.WithTimeout(background, time.Hour)
		defer done()
		if took := timeToBegin(func() { r = c.Acquire(at, ttl) }); took != 0 {
			t.Errorf("an acquire with a deadline begins after %v", took)
		}
		wait(t, r, quorum.Won)
		if took := timeToBegin(func() { r = c.Release(at) }); took != 0 {
			t.Errorf("a release with a deadline begins after %v", took)
		}
		wait(t, r, quorum.Won)
	})
}

func TestFrozenOnlyNodeCostsTheTimeoutAndLeavesNoKey(t *testing.T) {
	onBounded(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[0].Freeze()
		c := g.NewClaim("k", "v", timeout)
		begun := time.Now()
		wait(t, c.Acquire(background, ttl), quorum.Lost)
		if took := time.Since(begun); took > 2*timeout {
			t.Errorf("it took %v", took)
		}
		c.RollBack()
		nodes[0].Thaw()
		time.Sleep(3 * ttl)
		if nodes[0].Get("k") != "" {
			t.Error("the key is left")
		}
	})
}

func TestReleaseInBackgroundDoesNotWaitForTheOnlyNode(t *testing.T) {
	onBounded(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[0].Set(fakenode.Faults{Delay: 10 * time.Millisecond})
		c := g.NewClaim("k", "v", timeout)
		wait(t, c.Acquire(background, ttl), quorum.Won)
		if took := timeToBegin(c.ReleaseInBackground); took != 0 {
			t.Errorf("a caller that wants no lock waits for %v", took)
		}
		if took := timeToBegin(func() { g.LeaveQueue("me", []string{"l"}, "w", timeout, Position{Ticket: 1, TTL: ttl}) }); took != 0 {
			t.Errorf("a caller that leaves the wait queue waits for %v", took)
		}
		time.Sleep(20 * time.Millisecond)
		if nodes[0].Get("k") != "" || nodes[0].Count("release") != 2 {
			t.Errorf("%d releases, keys %q", nodes[0].Count("release"), nodes[0].Keys())
		}
	})
}

func TestFrozenNodeOfThreeCostsNoTime(t *testing.T) {
	onBounded(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Freeze()
		c := g.NewClaim("k", "v", timeout)
		if took := timeToBegin(func() { wait(t, c.Acquire(background, ttl), quorum.Won) }); took != 0 {
			t.Errorf("one frozen node of three costs %v", took)
		}
		c.RollBack()
	})
}

// A caller that asks on its own goroutine makes room for a call in the queue when it returns.
func TestQueuedCallsAreSentWhenACallerReturns(t *testing.T) {
	onBounded(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		const callers = 400 // more than there are workers
		nodes[0].Set(fakenode.Faults{Delay: time.Millisecond})
		won := make(chan bool, callers)
		for i := range callers {
			go func() {
				c := g.NewClaim(string(rune(0x4e00+i)), "v"+string(rune(0x4e00+i)), timeout)
				r, ok := c.Acquire(background, ttl).Wait(background)
				won <- ok && r.Outcome == quorum.Won
				c.RollBack()
			}()
		}
		for range callers {
			if !<-won {
				t.Error("a call was not made")
			}
		}
	})
}
