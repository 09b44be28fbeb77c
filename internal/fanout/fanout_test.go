package fanout

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

const (
	ttl     = 8 * time.Second
	timeout = 400 * time.Millisecond
)

var background = context.Background()

// onNodes runs f in bubbles on groups of n fake nodes, behind clients of either
// kind. In the end the group must be settled, and no node have the key.
func onNodes(t *testing.T, n int, f func(t *testing.T, g *Group, nodes []*fakenode.Node)) {
	t.Helper()
	for kind, client := range fakenode.Clients {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes, pools := fakenode.Pools(n)
				for i, n := range nodes {
					pools[i] = client(n)
				}
				g := NewGroup(pools, 0.01, 0, nil)
				g.Trust()
				pool := checkRounds(t, g)
				f(t, g, nodes)
				for _, n := range nodes {
					n.Set(fakenode.Faults{})
					n.Thaw()
				}
				for _, err := range g.Settle(background) {
					t.Error(err)
				}
				g.Stop()
				synctest.Wait()
				if pool != nil {
					pool.countFree()
				}
				for _, n := range nodes {
					if n.Get("k") != "" {
						t.Errorf("node %v still carries the key", n)
					}
				}
			})
		})
	}
}

func wait(t *testing.T, r *Round, want quorum.Outcome) Result {
	t.Helper()
	result, ok := r.Wait(background)
	if !ok || result.Outcome != want {
		t.Fatalf("round: %+v %v, want %v", result, ok, want)
	}
	return result
}

func acquire(t *testing.T, g *Group) *Claim {
	t.Helper()
	c := g.NewClaim("k", "v", timeout)
	wait(t, c.Acquire(background, ttl), quorum.Won)
	synctest.Wait() // until the slower nodes have the command, too
	return c
}

// Whatever faults a claim meets, and in whatever order the answers come, every
// node ends without its value. The release of one claim never touches the key of another.
func TestRandomFaultsLeaveNoKeyBehind(t *testing.T) {
	for seed := range uint64(100) {
		onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
			r := rand.New(rand.NewPCG(seed, 0))
			for i := range 20 {
				for _, n := range nodes {
					n.Set(fakenode.Faults{
						Delay:       time.Duration(r.IntN(2)*r.IntN(900)) * time.Millisecond,
						ReplyDelay:  time.Duration(r.IntN(2)*r.IntN(900)) * time.Millisecond,
						LoseReplies: r.IntN(8) == 0, LoseRequests: r.IntN(8) == 0,
						Uninterrupted: r.IntN(4) == 0, Refuse: r.IntN(8) == 0,
					})
					if r.IntN(10) == 0 {
						n.Freeze()
					} else {
						n.Thaw()
					}
				}
				c := g.NewClaim("k", fmt.Sprintf("v%d", i), timeout)
				ctx, cancel := context.WithTimeout(background, time.Duration(r.IntN(500))*time.Millisecond)
				if r.IntN(4) == 0 {
					nodes[r.IntN(len(nodes))].Hold("k", "other", time.Duration(r.IntN(50))*time.Millisecond)
				}
				if result, ok := c.Acquire(ctx, ttl).Wait(ctx); ok && result.Outcome == quorum.Won {
					c.RetakeUntil(time.Now().Add(time.Duration(r.IntN(3000)) * time.Millisecond))
				}
				if r.IntN(2) == 0 {
					time.Sleep(time.Duration(r.IntN(50)) * time.Millisecond)
					c.Extend(background, ttl, time.Now().Add(time.Duration(r.IntN(3000))*time.Millisecond)).Wait(background)
				}
				if r.IntN(2) == 0 {
					c.RollBack()
				} else {
					c.Release(ctx).Wait(ctx)
				}
				cancel()
				time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestRepeatedNameIsShownOnce(t *testing.T) {
	if got, want := FirstFew([]string{"b", "a", "b", "b", "b", "b", "c"}), `["a" "b" "c"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
