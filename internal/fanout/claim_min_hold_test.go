package fanout

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

const minHold = 30 * time.Second // more than the TTL, so that only it ends the keys

// about reports whether left is d, or a little more for the drift.
func about(left, d time.Duration) bool { return left >= d && left <= d+d/50+5*time.Millisecond }

func TestReleaseWithinTheMinHoldLeavesTheKeysForTheRestAndNoPendingRelease(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		c.SetMinHold(minHold)
		time.Sleep(5 * time.Second)
		wait(t, c.Release(background), quorum.Won)
		synctest.Wait()
		for _, n := range nodes {
			if left := n.TTL("k"); !about(left, minHold-5*time.Second) {
				t.Errorf("node %v keeps the key for %v", n, left)
			}
		}
		begun := time.Now()
		for _, err := range g.Settle(background) {
			t.Error(err)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("settled after %v", took)
		}
		time.Sleep(minHold)
	})
}

// Nodes allow no TTL above the guard's, so the drift may not make it longer.
func TestReleaseNeverLeavesAKeyForLongerThanTheWholeMinHold(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		c.SetMinHold(minHold)
		wait(t, c.Release(background), quorum.Won)
		synctest.Wait()
		for _, n := range nodes {
			if left := n.TTL("k"); left != minHold {
				t.Errorf("node %v keeps the key for %v", n, left)
			}
		}
		time.Sleep(minHold)
	})
}

func TestReleaseAfterTheMinHoldDeletes(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		c.SetMinHold(time.Second)
		time.Sleep(1100 * time.Millisecond)
		wait(t, c.Release(background), quorum.Won)
		synctest.Wait()
		for _, n := range nodes {
			if n.Get("k") != "" {
				t.Errorf("node %v still has the key", n)
			}
		}
	})
}

func TestKeyWithinTheMinHoldIsTakenAndNoLeftover(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Freeze() // so that the claim is not settled
		c := acquire(t, g)
		c.SetMinHold(minHold)
		wait(t, c.Release(background), quorum.Won)
		second := g.NewClaim("k", "v2", timeout)
		lost := wait(t, second.Acquire(background, ttl), quorum.Lost)
		if _, found := second.Leftovers(lost); found || g.IsLeftover("v") {
			t.Error("a lock within the minimum hold time was taken for a leftover")
		}
		second.RollBack()
		nodes[2].Thaw()
		g.Settle(background)
		if g.IsLeftover("v") {
			t.Error("a settled lock within the minimum hold time was taken for a leftover")
		}
		time.Sleep(minHold)
	})
}

// The acquire takes effect after the expiry was answered, and sets a key with a whole TTL.
func TestKeyOfALateAcquireIsCutToTheEndOfTheMinHold(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Set(fakenode.Faults{Delay: time.Second})
		c := g.NewClaim("k", "v", timeout)
		wait(t, c.Acquire(background, ttl), quorum.Won)
		c.SetMinHold(6 * time.Second)
		time.Sleep(timeout)
		nodes[2].Set(fakenode.Faults{})
		wait(t, c.Release(background), quorum.Won)
		time.Sleep(3*time.Second - timeout) // the expiry is repeated once a second or sooner
		if left := nodes[2].TTL("k"); !about(left, 3*time.Second) {
			t.Errorf("the late key lives for %v", left)
		}
		time.Sleep(3100 * time.Millisecond)
		if nodes[2].Get("k") != "" {
			t.Error("the late key outlives the minimum hold time")
		}
		for _, err := range g.Settle(background) {
			t.Error(err)
		}
		if !slices.ContainsFunc(nodes[2].Log(), func(c fakenode.Command) bool { return c.Does == "release" }) {
			t.Error("no repeat deletes after the minimum hold time")
		}
	})
}

// An expiry that was never answered may be carried out late. Then the key lives on from there.
func TestExpiryOfUnknownOutcomeIsPendingUntilItIsAnsweredOrNoKeyCanLive(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		c.SetMinHold(minHold)
		nodes[2].Freeze()
		wait(t, c.Release(background), quorum.Won)
		time.Sleep(3 * time.Second)
		if left := c.unsettledNodes(); !slices.Equal(left, []int{2}) {
			t.Errorf("unsettled: %v", left)
		}
		nodes[2].Thaw()
		time.Sleep(time.Second)
		if left := c.unsettledNodes(); left != nil {
			t.Errorf("answered, and unsettled: %v", left)
		}
		// The first of them may be carried out last.
		if left := nodes[2].TTL("k"); left < minHold-4*time.Second || left > minHold {
			t.Errorf("node 3 keeps the key for %v", left)
		}
		time.Sleep(minHold)
	})
}

func TestExpiryDoesNotNotifyWaiters(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		c.SetMinHold(minHold)
		waiter := g.NewClaim("k", "v2", timeout)
		wait(t, waiter.AcquireOrFlag(background, ttl, node.WaiterFlag{ID: "other.1", TTL: time.Minute}), quorum.Lost)
		waiter.RollBack()
		wait(t, c.Release(background), quorum.Won)
		synctest.Wait()
		for _, n := range nodes {
			for _, said := range n.Log() {
				if said.Does == "release" && said.Value == "v" {
					t.Errorf("node %v was asked to release", n)
				}
			}
			if n.Published("{k}:wake") != 0 {
				t.Errorf("node %v notified a waiter", n)
			}
		}
		time.Sleep(minHold)
	})
}

func TestMinHoldThatIsTakenBackDeletesAtOnce(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		c.SetMinHold(minHold)
		c.SetMinHold(0)
		wait(t, c.Release(background), quorum.Won)
		synctest.Wait()
		for _, n := range nodes {
			if n.Get("k") != "" {
				t.Errorf("node %v still has the key", n)
			}
		}
	})
}

func TestReleaseWithinTheMinHoldSaysThatTheLockWasLost(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		c.SetMinHold(minHold)
		nodes[0].Lose()
		nodes[1].Delete("k")
		nodes[1].Hold("k", "other", time.Second)
		if result := wait(t, c.Release(background), quorum.Lost); !result.Denied() {
			t.Errorf("%+v", result)
		}
		synctest.Wait()
		if nodes[0].Get("k") != "" || nodes[1].Get("k") != "other" {
			t.Error("a key that was not ours was touched")
		}
		time.Sleep(minHold)
	})
}
