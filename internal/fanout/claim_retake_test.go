package fanout

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// winDenied wins a claim that the last node denies for d, since another value has the key there.
func winDenied(t *testing.T, g *Group, nodes []*fakenode.Node, d time.Duration) *Claim {
	t.Helper()
	last := nodes[len(nodes)-1]
	last.Hold("k", "other", d)
	c := acquire(t, g)
	c.RetakeUntil(time.Now().Add(ttl))
	return c
}

func TestNodeThatDeniedAWonClaimIsAskedAgain(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := winDenied(t, g, nodes, 12*time.Millisecond)
		time.Sleep(20 * time.Millisecond) // asked without success after 5 ms, and again after 10 more
		if nodes[2].Get("k") != "v" || c.Held() != 3 {
			t.Errorf("%d nodes hold it", c.Held())
		}
		if left := nodes[2].TTL("k"); left > nodes[0].TTL("k") {
			t.Errorf("there the key lives for %v more, longer than where it was granted", left)
		}
		time.Sleep(time.Second)
		if n := nodes[2].Count("acquire"); n != 3 {
			t.Errorf("asked %d times, want 3", n)
		}
		wait(t, c.Release(background), quorum.Won)
	})
}

func TestNodeThatDeniesLateIsAskedAgain(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Hold("k", "other", 11*time.Millisecond)
		nodes[2].Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		c := g.NewClaim("k", "v", timeout)
		wait(t, c.Acquire(background, ttl), quorum.Won)
		c.RetakeUntil(time.Now().Add(ttl))
		time.Sleep(16 * time.Millisecond)
		if nodes[2].Get("k") != "v" {
			t.Error("not asked again")
		}
		time.Sleep(time.Second)
		wait(t, c.Release(background), quorum.Won)
	})
}

func TestNodeIsNotAskedAgainAfterTheClaimEnded(t *testing.T) {
	ends := map[string]func(t *testing.T, c *Claim){
		"released": func(t *testing.T, c *Claim) { wait(t, c.Release(background), quorum.Won) },
		"lost":     func(_ *testing.T, c *Claim) { c.RetakeUntil(time.Time{}) },
		"too late": func(_ *testing.T, c *Claim) { c.RetakeUntil(time.Now().Add(4 * time.Millisecond)) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
				c := winDenied(t, g, nodes, time.Second)
				end(t, c)
				if name != "too late" && c.askTimer.Stop() {
					t.Error("the timer is left")
				}
				time.Sleep(2 * time.Second) // it is free there by now
				c.askDenied()               // as if the timer had fired just before
				time.Sleep(2 * time.Second)
				if n := nodes[2].Count("acquire"); n != 1 {
					t.Errorf("asked %d times, want 1", n)
				}
				c.RollBack()
			})
		})
	}
}

// The claim ends while an extension of it is about to begin.
func TestExtensionAfterTheClaimEndedTakesNoNode(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := winDenied(t, g, nodes, time.Second)
		c.RetakeUntil(time.Time{})
		nodes[1].Lose()
		c.Extend(background, ttl, time.Now().Add(ttl)).Wait(background)
		c.RetakeUntil(time.Now().Add(ttl))
		time.Sleep(2 * time.Second)
		if n := nodes[1].Count("acquire") + nodes[2].Count("acquire"); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
		wait(t, c.Release(background), quorum.Lost) // two nodes have lost it
	})
}

func TestNodeIsNotAskedWhileACallIsInFlight(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := winDenied(t, g, nodes, time.Second)
		nodes[2].Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		extension := c.Extend(background, ttl, time.Now().Add(ttl))
		time.Sleep(8 * time.Millisecond)
		if n := nodes[2].Count("acquire"); n != 1 {
			t.Errorf("asked %d times, want 1", n)
		}
		wait(t, extension, quorum.Won)
		time.Sleep(time.Second)
		wait(t, c.Release(background), quorum.Won)
	})
}

func TestNodeThatDoesNotAnswerIsNotAskedAgain(t *testing.T) {
	faults := map[string]func(n *fakenode.Node){
		"frozen": func(n *fakenode.Node) { n.Freeze() },
		"down":   func(n *fakenode.Node) { n.Set(fakenode.Faults{Refuse: true}) },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
				fault(nodes[2])
				c := acquire(t, g)
				c.RetakeUntil(time.Now().Add(ttl))
				time.Sleep(time.Second)
				nodes[2].Thaw()
				synctest.Wait()
				if n := nodes[2].Count("acquire") + nodes[2].Refused(); n != 1 {
					t.Errorf("asked %d times, want 1", n)
				}
				wait(t, c.Release(background), quorum.Won)
			})
		})
	}
}

func TestNodeThatIsTakenLaterCountsInTheNextExtension(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := winDenied(t, g, nodes, time.Millisecond)
		time.Sleep(10 * time.Millisecond)
		nodes[1].Lose()
		nodes[1].Freeze()
		wait(t, c.Extend(background, ttl, time.Now().Add(ttl)), quorum.Won)
		if left := nodes[2].TTL("k"); left != ttl {
			t.Errorf("there the key lives for %v more, want %v", left, ttl)
		}
		wait(t, c.Release(background), quorum.Won)
	})
}

func TestExtensionCountsANodeThatLostTheKeyOnlyFromTheNextRoundOn(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		synctest.Wait()
		nodes[0].Lose()
		nodes[2].Freeze() // so that the retaken node would decide
		r := c.Extend(background, ttl, time.Now().Add(ttl))
		wait(t, r, quorum.Lost)
		if nodes[0].Get("k") == "" {
			t.Error("the node was not taken again")
		}
		wait(t, c.Extend(background, ttl, time.Now().Add(ttl)), quorum.Won)
		wait(t, c.Release(background), quorum.Won)
	})
}

func TestNoNodeIsRetakenAfterTheValidityOrTheRelease(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		synctest.Wait()
		nodes[0].Lose()
		nodes[0].Set(fakenode.Faults{ReplyDelay: 100 * time.Millisecond})
		c.Extend(background, ttl, time.Now().Add(50*time.Millisecond))
		time.Sleep(time.Second)
		if nodes[0].Get("k") != "" {
			t.Error("taken again after the validity had ended")
		}
		c.Extend(background, ttl, time.Now().Add(time.Hour))
		time.Sleep(50 * time.Millisecond)
		c.Release(background)
		time.Sleep(time.Second)
		if got := nodes[0].Count("acquire"); got != 1 {
			t.Errorf("%d acquires on node 1: taken again after the release", got)
		}
	})
}

// A node that grants another slot late, when its call had been given up, is asked for the right one.
func TestNodeThatGrantedAnotherSlotLateIsAskedForTheRightOne(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Hold("k/0", "other", 2*timeout)
		nodes[2].Set(fakenode.Faults{Uninterrupted: true, ReplyDelay: timeout + timeout/2})
		c := g.NewClaim("k/", "v", timeout)
		c.OfSlots(node.NewSlots("k/", "k/0", "k/1"), 0)
		result := wait(t, c.Acquire(background, ttl), quorum.Won)
		c.Choose(result)
		c.RetakeUntil(time.Now().Add(ttl))
		time.Sleep(timeout + timeout/4)
		nodes[2].Set(fakenode.Faults{})
		time.Sleep(2 * timeout)
		if got := c.Held(); got != 3 || nodes[2].Get("k/0") != "v" {
			t.Errorf("%d nodes have it, and the slot there has %q", got, nodes[2].Get("k/0"))
		}
		wait(t, c.Release(background), quorum.Won)
		synctest.Wait()
		if keys := nodes[2].Keys(); len(keys) != 0 {
			t.Errorf("%q are left", keys)
		}
	})
}

func TestAnotherSlotThatANodeGrantedAfterTheDecisionIsGivenBackAtOnce(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Hold("k/0", "other", time.Minute)
		nodes[2].Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		c := g.NewClaim("k/", "v", timeout)
		c.OfSlots(node.NewSlots("k/", "k/0", "k/1"), 0)
		c.Choose(wait(t, c.Acquire(background, ttl), quorum.Won))
		time.Sleep(5 * time.Millisecond)
		if nodes[2].Get("k/1") != "v" {
			t.Fatal("the node has not granted another slot")
		}
		time.Sleep(20 * time.Millisecond)
		if nodes[2].Get("k/1") != "" {
			t.Error("it is kept")
		}
		wait(t, c.Release(background), quorum.Won)
	})
}
