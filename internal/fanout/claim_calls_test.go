package fanout

import (
	"errors"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// The order of commands per claim and node: the release waits for the acquire.
func TestReleaseIsSentOnlyAfterTheAcquireWasAnswered(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Set(fakenode.Faults{Delay: 300 * time.Millisecond})
		c := acquire(t, g)
		nodes[2].Set(fakenode.Faults{}) // a release sent now would overtake the acquire
		wait(t, c.Release(background), quorum.Won)
		time.Sleep(250 * time.Millisecond)
		if log := nodes[2].Log(); len(log) != 0 {
			t.Errorf("sent before the acquire was answered: %v", log)
		}
		time.Sleep(100 * time.Millisecond)
		log := nodes[2].Log()
		if len(log) != 2 || log[0].Does != "acquire" || log[1].Does != "release" {
			t.Errorf("node 3 saw %v, want acquire, then one release", log)
		}
		if errs := g.Settle(background); errs != nil {
			t.Error(errs)
		}
	})
}

func TestSupersededCommandIsNotSent(t *testing.T) {
	onNodes(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[0].Set(fakenode.Faults{Delay: 100 * time.Millisecond})
		c := g.NewClaim("k", "v", timeout)
		c.Acquire(background, ttl)
		extension := c.Extend(background, ttl, time.Now().Add(ttl))
		release := c.Release(background)
		result := wait(t, extension, quorum.Lost)
		if a, _ := result.Answer(0); !errors.Is(a.Err, errSuperseded) {
			t.Errorf("extension: %v", a.Err)
		}
		wait(t, release, quorum.Won)
		if nodes[0].Count("extend") != 0 {
			t.Error("the extension was sent")
		}
	})
}

func TestExtensionDoesNotReplaceAReleaseThatIsNext(t *testing.T) {
	onNodes(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[0].Set(fakenode.Faults{Delay: 100 * time.Millisecond})
		c := g.NewClaim("k", "v", timeout)
		c.Acquire(background, ttl)
		release := c.Release(background)
		wait(t, c.Extend(background, ttl, time.Now().Add(ttl)), quorum.Lost)
		wait(t, release, quorum.Won)
	})
}

func TestCoalescedReleasesAreAllAnswered(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		for _, n := range nodes {
			n.Set(fakenode.Faults{Delay: 50 * time.Millisecond})
		}
		begin := time.Now()
		c.Extend(background, ttl, time.Now().Add(ttl))
		for _, r := range []*Round{c.Release(background), c.Release(background), c.Release(background)} {
			wait(t, r, quorum.Won)
		}
		// One release is sent for all of them.
		if took, sent := time.Since(begin), nodes[0].Count("release"); took > 250*time.Millisecond || sent > 1 {
			t.Errorf("%d releases, %v", sent, took)
		}
	})
}
