package fanout

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

func TestLeftoverThatIsGoneSinceTheAnswerIsStillFound(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		first := acquire(t, g)
		second := g.NewClaim("k", "v2", timeout)
		lost := wait(t, second.Acquire(background, ttl), quorum.Lost)
		second.RollBack()
		if _, found := second.Leftovers(lost); found {
			t.Error("a lock that is held was taken for a leftover")
		}
		for _, n := range nodes {
			n.Set(fakenode.Faults{Delay: time.Millisecond, ReplyDelay: time.Millisecond})
		}
		nodes[2].Set(fakenode.Faults{Delay: 10 * time.Millisecond})
		wait(t, first.Release(background), quorum.Won)
		if leftovers, found := second.Leftovers(lost); !found || len(leftovers) == 0 {
			t.Errorf("on its way: %v %v, want the claim", leftovers, found)
		}
		for i := range nodes {
			<-Leftover{first, i}.Gone()
		}
		if leftovers, found := second.Leftovers(lost); !found || len(leftovers) != 0 {
			t.Errorf("settled: %v %v, want nothing to wait for", leftovers, found)
		}
	})
}

func TestRollBackLeavesOutNodesThatWereNeverReached(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[0].Set(fakenode.Faults{Refuse: true})
		nodes[1].Set(fakenode.Faults{Refuse: true})
		c := g.NewClaim("k", "v", timeout)
		wait(t, c.Acquire(background, ttl), quorum.Lost)
		nodes[0].Set(fakenode.Faults{})
		nodes[1].Set(fakenode.Faults{})
		c.RollBack()
		if errs := g.Settle(background); errs != nil {
			t.Error(errs)
		}
		if len(nodes[0].Log())+len(nodes[1].Log()) != 0 || nodes[2].Count("release") != 1 {
			t.Error("releases went to the wrong nodes")
		}
	})
}

func TestSettleNamesTheKeysThatMayBeLeftOnEachNode(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		synctest.Wait()
		nodes[1].Freeze()
		wait(t, c.Release(background), quorum.Won)
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		errs := g.Settle(ctx)
		want := `node node-2: 1 releases not confirmed; these keys may be left until they expire: ["k"]`
		if len(errs) != 1 || errs[0].Error() != want {
			t.Errorf("%v, want %s", errs, want)
		}
	})
}

func TestTheSlotThatMayBeLeftIsNamedAlone(t *testing.T) {
	for how, fail := range map[string]func(n *fakenode.Node){
		"silent":        func(n *fakenode.Node) { n.Set(fakenode.Faults{Refuse: true}) },
		"closed client": func(n *fakenode.Node) { n.CloseClient() },
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes, pools := fakenode.Pools(3)
				g := NewGroup(pools, 0.01, 0, nil)
				g.Trust()
				c := g.NewClaim("k/", "v", timeout)
				c.OfSlots(node.NewSlots("k/", "k/0", "k/1"), 1)
				result := wait(t, c.Acquire(background, ttl), quorum.Won)
				synctest.Wait()
				c.Choose(result)
				fail(nodes[2])
				wait(t, c.Release(background), quorum.Won)
				synctest.Wait()
				ctx, cancel := context.WithTimeout(background, time.Second)
				defer cancel()
				if errs := g.Settle(ctx); len(errs) != 1 || !strings.Contains(errs[0].Error(), `["k/1"]`) {
					t.Errorf("%v, want the slot that was granted", errs)
				}
				g.Stop()
			})
		})
	}
}

// A node that is slow to put the waiter into its queue does so after it was told to forget it.
func TestNodeThatAnswersAfterTheWaiterLeftTheQueueIsToldAgain(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Hold("k", "other", 100*time.Millisecond)
		nodes[2].Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		c := g.NewClaim("k", "v", timeout)
		c.Fair(time.Minute)
		wait(t, c.AcquireInTurn(background, ttl, node.WaiterFlag{ID: "me", TTL: time.Second, Position: node.QueuePosition{Ticket: 1, Last: 1, Count: 1, TTL: time.Minute}}), quorum.Won)
		c.LeaveQueue()
		time.Sleep(time.Second)
		for i, want := range []int{1, 1, 2} {
			if got := nodes[i].Count("release"); got != want {
				t.Errorf("node %d: told %d times, want %d", i, got, want)
			}
		}
		wait(t, c.Release(background), quorum.Won)
	})
}
