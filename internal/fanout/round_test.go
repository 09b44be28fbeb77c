package fanout

import (
	"context"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

func TestRoundIsDecidedAtTheDecidingAnswer(t *testing.T) {
	onNodes(t, 5, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		for i, n := range nodes {
			n.Set(fakenode.Faults{ReplyDelay: time.Duration(i) * 10 * time.Millisecond})
		}
		start := time.Now()
		c := g.NewClaim("first", "v", timeout)
		wait(t, c.Acquire(background, ttl), quorum.Won)
		if took := time.Since(start); took != 20*time.Millisecond {
			t.Errorf("won after %v, want 20ms: the third of five answers decides", took)
		}
		wait(t, c.Release(background), quorum.Won) // loads the script
		time.Sleep(time.Second)
		c = acquire(t, g)
		start = time.Now()
		wait(t, c.Release(background), quorum.Won)
		// Nodes 4 and 5 have not answered the acquire yet; 1 to 3 decide.
		if took := time.Since(start); took != 20*time.Millisecond {
			t.Errorf("released after %v, want 20ms", took)
		}
	})
}

func TestLostRoundIsDecidedWithoutTheSlowNode(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[0].Hold("k", "other", time.Second)
		nodes[1].Hold("k", "other", time.Second)
		nodes[2].Freeze()
		start := time.Now()
		c := g.NewClaim("k", "v", timeout)
		result := wait(t, c.Acquire(background, ttl), quorum.Lost)
		if _, answered := result.Answer(2); time.Since(start) != 0 || answered {
			t.Errorf("lost after %v: %+v", time.Since(start), result)
		}
		c.RollBack()
		time.Sleep(time.Second)
	})
}

// A decided round gives its channel back, and another round uses it. A late answer must not
// touch the channel. Here the test stands for the other round.
func TestLateAnswerDoesNotTouchAReusedSignal(t *testing.T) {
	onNodes(t, 5, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[3].Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		nodes[4].Set(fakenode.Faults{ReplyDelay: 2 * timeout}) // given up, and answered later
		for range 20 {
			c := g.NewClaim("k", "v", timeout)
			wait(t, c.Acquire(background, ttl), quorum.Won)
			reused := g.signals.Get().(chan struct{})
			for _, later := range []time.Duration{20 * time.Millisecond, 4 * timeout} {
				if time.Sleep(later); len(reused) != 0 {
					t.Fatal("a late answer was sent to the channel of another round")
				}
			}
			wait(t, c.Release(background), quorum.Won)
			time.Sleep(4 * timeout)
		}
		nodes[4].Set(fakenode.Faults{})
		time.Sleep(4 * timeout) // until the last is answered
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[0].Freeze()
		nodes[1].Freeze()
		ctx, cancel := context.WithTimeout(background, 10*time.Millisecond)
		defer cancel()
		c := g.NewClaim("k", "v", timeout)
		start := time.Now()
		if _, ok := c.Acquire(ctx, ttl).Wait(ctx); ok || time.Since(start) != 10*time.Millisecond {
			t.Errorf("decided: %v, after %v", ok, time.Since(start))
		}
		c.RollBack()
	})
}

func TestReleaseWithMixedAnswersWaitsForTheOpenOnes(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		nodes[1].Delete("k")
		nodes[2].Delete("k")
		nodes[1].Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		nodes[2].Set(fakenode.Faults{ReplyDelay: 20 * time.Millisecond})
		if result := wait(t, c.Release(background), quorum.Lost); !result.Denied() {
			t.Errorf("%+v: a majority had lost it", result)
		}
	})
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		nodes[1].Delete("k")
		nodes[2].Freeze() // it may have lost the key, or not: that cannot be known
		start := time.Now()
		wait(t, c.Release(background), quorum.Won)
		if took := time.Since(start); took != timeout {
			t.Errorf("took %v, want the node timeout", took)
		}
	})
}
