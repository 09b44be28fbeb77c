package fanout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/node"
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
				pool := poisonRounds(t, g)
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
			if nodes[0].Get(c.lease.Key()) != "" {
				t.Fatal("a key is left half a second after the node came back")
			}
		}
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

func TestNoNodeIsTakenAgainAfterTheValidityOrTheRelease(t *testing.T) {
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

func TestSecondUnknownOutcomeDoesNotShortenTheFirst(t *testing.T) {
	now := time.Now()
	lost := node.Answer{At: now, Err: errNotWaitedFor}
	for _, s := range []*nodeState{
		func() *nodeState { s := new(nodeState); s.learn(node.Acquire, lost, 8*time.Second); return s }(),
		func() *nodeState {
			s := &nodeState{outstanding: 1}
			s.learnLate(node.Acquire, lost, 8*time.Second)
			return s
		}(),
	} {
		lost.At = now.Add(time.Second)
		s.learn(node.Acquire, lost, time.Second)
		s.learn(node.Extend, node.Answer{At: now, Status: node.Extended}, time.Second)
		if got := s.mayLiveUntil.Sub(now); got != 2*8*time.Second { // if it is set at the end of the unknown outcome
			t.Errorf("the key may live for %v, want 16s", got)
		}
		if got := s.unknownSince.Sub(now); got != time.Second || s.keyLifetime != 8*time.Second {
			t.Errorf("unknown for %v after %v, want 8s after 1s", s.keyLifetime, got)
		}
	}
}

func TestRepeatedNameIsShownOnce(t *testing.T) {
	if got, want := FirstFew([]string{"b", "a", "b", "b", "b", "b", "c"}), `["a" "b" "c"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// An acquire arrives as late as it may, and long after the last release that was
// repeated. One more release comes after it.
func TestAcquireThatArrivesAtTheEndOfItsUnknownOutcomeIsReleased(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Set(fakenode.Faults{Delay: timeout + quorum.Lifetime(ttl, 0.01) - 20*time.Millisecond})
		c := g.NewClaim("k", "v", timeout)
		wait(t, c.Acquire(background, ttl), quorum.Won)
		nodes[2].Set(fakenode.Faults{})
		time.Sleep(2 * timeout)
		wait(t, c.Release(background), quorum.Won)
		if left := g.Settle(background); left != nil {
			t.Error(left)
		}
		if nodes[2].Count("acquire") != 1 {
			t.Error("it has not arrived yet: this shows nothing")
		}
		if value := nodes[2].Get("k"); value != "" {
			t.Errorf("the key holds %q, and no command deletes it", value)
		}
	})
}

// A release that is answered after the unknown outcome may have been carried out before its
// end, and before the acquire arrived.
func TestReleaseSentDuringUnknownOutcomeAndAnsweredAfterItSettlesNothing(t *testing.T) {
	const early = 5 * time.Millisecond
	for later := range 60 { // when releases are sent follows from when the first one was
		onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
			nodes[2].Set(fakenode.Faults{Delay: timeout + quorum.Lifetime(ttl, 0.01) - early})
			c := g.NewClaim("k", "v", timeout)
			wait(t, c.Acquire(background, ttl), quorum.Won)
			nodes[2].Set(fakenode.Faults{ReplyDelay: timeout / 2})
			other := g.NewClaim("other", "v", timeout) // the node is not silent: only one command is late
			wait(t, other.Acquire(background, ttl), quorum.Won)
			other.RollBack()
			time.Sleep(2*timeout + time.Duration(later)*timeout/20)
			wait(t, c.Release(background), quorum.Won)
			if left := g.Settle(background); left != nil {
				t.Error(left)
			}
			if value := nodes[2].Get("k"); value != "" {
				t.Errorf("the key holds %q, and no command deletes it", value)
			}
			time.Sleep(timeout)
		})
	}
}
