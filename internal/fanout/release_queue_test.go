package fanout

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

func TestReleaseIsRepeatedAfterAnAcquireOfUnknownOutcome(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		// The acquire takes effect 640 ms after it was sent, and was given up
		// before: it waited somewhere, while the node answered others at once.
		nodes[2].Set(fakenode.Faults{Delay: 640 * time.Millisecond})
		sent := time.Now()
		c := acquire(t, g)
		nodes[2].Set(fakenode.Faults{})
		wait(t, c.Release(background), quorum.Won)
		time.Sleep(500 * time.Millisecond)
		releases := nodes[2].Count("release")
		if releases == 0 {
			t.Error("no release after the acquire was given up")
		}
		time.Sleep(139 * time.Millisecond)
		if nodes[2].Get("k") != "" {
			t.Fatal("the acquire took effect too early for this test")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if nodes[2].Get("k") == "" {
			t.Fatal("the acquire did not take effect")
		}
		time.Sleep(400 * time.Millisecond)
		if nodes[2].Get("k") != "" {
			t.Error("the key is still there 400 ms later")
		}
		time.Sleep(time.Until(sent.Add(2*timeout + quorum.Lifetime(ttl, g.drift))))
		over, cancel := context.WithCancel(background)
		cancel()
		if errs := g.Settle(over); errs != nil {
			t.Errorf("the acquire is too old to matter, and still: %v", errs)
		}
		time.Sleep(2 * ttl)
		var pauses []time.Duration
		last := time.Time{}
		for _, command := range nodes[2].Log() {
			if command.Does == "release" {
				pauses = append(pauses, command.At.Sub(last))
				last = command.At
			}
		}
		if len(pauses) < 5 || len(pauses) > 16 {
			t.Errorf("%d releases until the TTL had passed: %v", len(pauses), pauses[1:])
		}
		if pauses[1] != 25*time.Millisecond || pauses[2] != 25*time.Millisecond && pauses[2] != 50*time.Millisecond {
			t.Errorf("pauses %v, want 25, 50, 100 ms ...", pauses[1:])
		}
		if errs := g.Settle(background); errs != nil {
			t.Error(errs)
		}
	})
}

func TestThawedNodeHasNoKeyAfterOneSecondHoweverLongItWasFrozen(t *testing.T) {
	for _, frozen := range []time.Duration{time.Second, 7 * time.Second, time.Minute, 9 * time.Minute} {
		t.Run(frozen.String(), func(t *testing.T) {
			onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
				held := g.NewClaim("k0", "v0", timeout)
				wait(t, held.Acquire(background, ttl), quorum.Won)
				nodes[1].Freeze()
				end := time.Now().Add(frozen)
				for i := 1; time.Now().Before(end); i++ {
					key := fmt.Sprintf("k%d", i)
					c := g.NewClaim(key, "v", timeout)
					wait(t, c.Acquire(background, ttl), quorum.Won)
					wait(t, c.Release(background), quorum.Won)
					if i == 1 {
						wait(t, held.Release(background), quorum.Won)
					}
					time.Sleep(frozen / 500)
				}
				nodes[1].Thaw()
				time.Sleep(time.Second)
				for _, command := range nodes[1].Log() {
					if nodes[1].Get(command.Key) != "" {
						t.Errorf("key %s is left", command.Key)
					}
				}
				// All workers of the node at once, and as many again as come
				// free before the circuit breaker opens.
				if got := nodes[1].Count("acquire"); got == 0 || got > 300 {
					t.Errorf("%d acquires waited in the frozen node", got)
				}
			})
		})
	}
}

func TestLateReplyOfAnOutstandingCallSettlesWithOneRelease(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Set(fakenode.Faults{Uninterrupted: true, ReplyDelay: 59 * time.Second})
		c := acquire(t, g)
		nodes[2].Set(fakenode.Faults{})
		wait(t, c.Release(background), quorum.Won)
		time.Sleep(48 * time.Second) // far beyond the TTL: the client may still send it
		if got := c.unsettledNodes(); len(got) != 1 {
			t.Errorf("unsettled nodes %v while the call is outstanding", got)
		}
		time.Sleep(11*time.Second + 100*time.Millisecond)
		if got := c.unsettledNodes(); len(got) != 0 {
			t.Errorf("unsettled nodes %v after the client returned", got)
		}
	})
}

func TestReleaseInFlightWhenTheClientReturnsIsRepeatedSoon(t *testing.T) {
	onNodes(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		n := nodes[0]
		n.Set(fakenode.Faults{LoseRequests: true})
		c := g.NewClaim("k", "v", timeout)
		wait(t, c.Acquire(background, time.Minute), quorum.Lost)
		n.Set(fakenode.Faults{})
		c.RollBack()
		time.Sleep(20 * time.Second) // pauses are long by now
		n.Set(fakenode.Faults{ReplyDelay: timeout / 2})
		before := n.Count("release")
		for n.Count("release") == before {
			time.Sleep(time.Millisecond)
		}
		g.pending[0].clientReturned(c)
		time.Sleep(timeout/2 + 2*firstRepeat)
		if again := n.Count("release") - before; again != 2 {
			t.Errorf("%d releases, want the one in flight and another", again)
		}
		n.Set(fakenode.Faults{})
		time.Sleep(time.Second)
	})
}

// A dial is given up at the node's timeout. Later the client reports that the command was never
// sent. From then on no release is pending, whatever the TTL.
func TestCallThatWasNeverSentLeavesNoPendingRelease(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Set(fakenode.Faults{Unreachable: 2 * timeout})
		begun := time.Now()
		c := g.NewClaim("job", "v", timeout)
		if r, _ := c.Acquire(background, ttl).Wait(background); r.Outcome != quorum.Won {
			t.Fatalf("%+v", r)
		}
		c.Release(background)
		if errs := g.Settle(background); errs != nil {
			t.Error(errs)
		}
		// The release that was tried meanwhile has to return, too.
		if took := time.Since(begun); took > 5*timeout {
			t.Errorf("settled after %v", took)
		}
		time.Sleep(2 * timeout) // the client still has the call
	})
}

// A connection that breaks leaves the outcome of the command unknown.
func TestReleaseIsRepeatedAfterAConnectionBroke(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Set(fakenode.Faults{Reset: true, Delay: time.Second})
		c := acquire(t, g)
		sent := nodes[2].Sent()
		nodes[2].Set(fakenode.Faults{Refuse: true}) // so that a repeat is not granted there
		synctest.Wait()
		nodes[2].Set(fakenode.Faults{})
		wait(t, c.Release(background), quorum.Won)
		time.Sleep(999 * time.Millisecond)
		if got := c.unsettledNodes(); len(got) != 1 || nodes[2].Count("release") == 0 {
			t.Errorf("unsettled nodes %v after %d releases", got, nodes[2].Count("release"))
		}
		time.Sleep(time.Second)
		if got := nodes[2].Count("acquire"); got < sent || nodes[2].Get("k") != "" {
			t.Errorf("%d of %d acquires took effect, and a second later %q has the key", got, sent, nodes[2].Get("k"))
		}
	})
}

func TestSilentNodeGetsOneReleaseAtATime(t *testing.T) {
	onNodes(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		var claims []*Claim
		for i := range 100 {
			c := g.NewClaim(fmt.Sprint(i), "v", timeout)
			wait(t, c.Acquire(background, ttl), quorum.Won)
			claims = append(claims, c)
		}
		nodes[0].Set(fakenode.Faults{Refuse: true})
		for _, c := range claims {
			wait(t, c.Release(background), quorum.Lost)
		}
		time.Sleep(time.Second)
		before := nodes[0].Refused()
		time.Sleep(5 * time.Second)
		if got := nodes[0].Refused() - before; got < 40 || got > 60 {
			t.Errorf("%d tries in five seconds, want about ten a second", got)
		}
		nodes[0].Set(fakenode.Faults{})
		time.Sleep(500 * time.Millisecond)
		for _, c := range claims {
			if nodes[0].Get(c.entry.Key()) != "" {
				t.Fatal("a key is left half a second after the node came back")
			}
		}
	})
}

// A client returns a little late. The release is sent and executed while the acquire is still
// outstanding, and answered after the acquire's late reply.
func TestReleaseSentBeforeTheLateReplySettlesNothing(t *testing.T) {
	onNodes(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[0].Set(fakenode.Faults{Uninterrupted: true, Delay: 430 * time.Millisecond})
		c := g.NewClaim("k", "v", timeout)
		c.Acquire(background, ttl)
		synctest.Wait()
		nodes[0].Set(fakenode.Faults{ReplyDelay: 100 * time.Millisecond})
		c.RollBack() // sent at 400 ms, answered at 500 ms; the key is set at 430 ms
		time.Sleep(505 * time.Millisecond)
		if got := c.unsettledNodes(); len(got) != 1 || nodes[0].Get("k") == "" {
			t.Errorf("unsettled nodes %v, value %q", got, nodes[0].Get("k"))
		}
		time.Sleep(time.Second)
		if nodes[0].Get("k") != "" {
			t.Error("the key is left")
		}
	})
}

// An extension that is carried out long after it was given up prolongs the key beyond
// what was known. The release is pending until the node gets it.
func TestExtensionThatMayTakeEffectLateKeepsTheReleasePending(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		c := acquire(t, g)
		n := nodes[0]
		n.Set(fakenode.Faults{Delay: ttl - time.Second})
		wait(t, c.Extend(background, ttl, time.Now().Add(ttl)), quorum.Won)
		time.Sleep(time.Second)
		if !c.OutcomeUnknown() {
			t.Error("no outcome is unknown")
		}
		n.Set(fakenode.Faults{Delay: time.Hour})
		wait(t, c.Release(background), quorum.Won)
		for ; n.Get("k") != ""; time.Sleep(ttl / 10) {
			if time.Sleep(timeout); len(c.unsettledNodes()) == 0 && n.Get("k") != "" {
				t.Fatalf("counts as settled, and the key lives for %v more", n.TTL("k"))
			}
		}
	})
}
