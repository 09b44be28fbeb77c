package fanout

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A command whose connection ended is sent again. Then the send before it may take effect late.

func TestAcquireThatWasSentAgainAndTakesEffectLateIsReleased(t *testing.T) {
	for _, late := range []time.Duration{time.Second, keyLifetime - 20*time.Millisecond} {
		onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
			nodes[2].EndIdle(1, late)
			c := acquire(t, g)
			synctest.Wait()
			if got := c.Held(); got != 3 {
				t.Errorf("%d nodes hold the lock", got)
			}
			begun := time.Now()
			wait(t, c.Release(background), quorum.Won)
			synctest.Wait()
			if took := time.Since(begun); took != 0 || len(nodes[2].Keys()) != 0 {
				t.Errorf("the release took %v, and left %q", took, nodes[2].Keys())
			}
			if errs := g.Settle(background); errs != nil {
				t.Error(errs)
			}
			if got := nodes[2].Count("acquire"); got != 2 {
				t.Errorf("settled %v after the release, and %d of 2 acquires have taken effect", time.Since(begun), got)
			}
			if nodes[2].Get("k") != "" {
				t.Error("the key is left")
			}
		})
	}
}

func TestReleaseThatWasSentAgainAndFindsNoKeyCountsAsDeleted(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		synctest.Wait()
		for _, n := range nodes {
			n.EndIdle(1, 0) // it takes effect, and its reply is lost
		}
		if r := wait(t, c.Release(background), quorum.Won); r.Denied() {
			t.Errorf("%+v: it reads as if the lock had not been held", r)
		}
		if errs := g.Settle(background); errs != nil {
			t.Error(errs)
		}
	})
}

func TestExtensionThatWasSentAgainAndTakesEffectLateKeepsTheReleasePending(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		synctest.Wait()
		nodes[2].EndIdle(1, ttl/2)
		wait(t, c.Extend(background, ttl, time.Now().Add(ttl)), quorum.Won)
		synctest.Wait()
		if !c.OutcomeUnknown() {
			t.Error("no outcome is unknown")
		}
		nodes[2].Set(fakenode.Faults{Refuse: true})
		wait(t, c.Release(background), quorum.Won)
		time.Sleep(keyLifetime + keyLifetime/4) // without the late extension the key would have expired
		if left := c.unsettledNodes(); len(left) != 1 || nodes[2].Get("k") == "" {
			t.Errorf("nodes %v are unsettled, the key is %q", left, nodes[2].Get("k"))
		}
		nodes[2].Set(fakenode.Faults{})
		if errs := g.Settle(background); errs != nil || nodes[2].Get("k") != "" {
			t.Errorf("%v; the key is %q", errs, nodes[2].Get("k"))
		}
	})
}

func TestUnknownOutcomeEndsThoughEveryRepeatOfTheReleaseFailsWithAnEndedConnection(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		begun := unknownAcquire(t, g, nodes[2], keyLifetime/2)
		over := make(chan struct{})
		var balancer sync.WaitGroup
		balancer.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(20 * time.Millisecond):
					nodes[2].EndIdle(1, -1)
				}
			}
		})
		if errs := g.Settle(background); errs != nil {
			t.Error(errs)
		}
		if took := time.Since(begun); took < keyLifetime || took > 2*keyLifetime+timeout {
			t.Errorf("unknown for %v, want about %v", took, keyLifetime)
		}
		close(over)
		balancer.Wait()
		nodes[2].EndIdle(0, 0)
	})
}

// What was sent before may take another slot than the one that was granted.
func TestSlotThatAnEarlierSendTakesLateIsGivenBack(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].EndIdle(1, time.Second)
		c := g.NewClaim("k/", "v", timeout)
		c.OfSlots(node.NewSlots("k/", "k/0", "k/1"), 0)
		result := wait(t, c.Acquire(background, ttl), quorum.Won)
		synctest.Wait()
		c.Choose(result)
		wait(t, c.Release(background), quorum.Won)
		synctest.Wait()
		nodes[2].Hold("k/0", "other", time.Minute)
		if errs := g.Settle(background); errs != nil {
			t.Error(errs)
		}
		if got := nodes[2].Count("acquire"); got != 2 {
			t.Errorf("settled, and %d of 2 acquires have taken effect", got)
		}
		if nodes[2].Get("k/1") != "" {
			t.Error("the slot is left")
		}
	})
}
