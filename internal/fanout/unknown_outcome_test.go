package fanout

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// How long the outcome of an acquire is unknown, and what a silence changes.

var keyLifetime = quorum.Lifetime(ttl, 0.01)

// unknownAcquire gives node 3 an acquire that is given up and takes effect after so long, and
// releases it. It returns when its outcome becomes unknown.
func unknownAcquire(t *testing.T, g *Group, n *fakenode.Node, effect time.Duration) (begun time.Time) {
	t.Helper()
	n.Set(fakenode.Faults{Delay: effect})
	c := g.NewClaim("k", "v", timeout)
	wait(t, c.Acquire(background, ttl), quorum.Won)
	synctest.Wait() // until it is on its way to node 3, too
	n.Set(fakenode.Faults{})
	c.RollBack()
	begun = time.Now().Add(timeout)
	time.Sleep(2 * timeout)
	return begun
}

// silence makes the node answer nothing for a time.
func silence(n *fakenode.Node, lasts time.Duration) {
	n.Freeze()
	time.Sleep(lasts)
	n.Thaw()
}

// A client that is short of processor time, or a node that is a little slow at times,
// makes a silence now and then. No silence holds back a command that was there before it.
func TestUnknownOutcomeEndsThoughShortSilencesRepeat(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		begun := unknownAcquire(t, g, nodes[2], time.Hour)
		over := make(chan struct{})
		var disturbed sync.WaitGroup
		disturbed.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(time.Second):
				}
				// One release is answered after it was given up.
				nodes[2].Set(fakenode.Faults{ReplyDelay: timeout + 20*time.Millisecond})
				for sent := nodes[2].Count("release"); nodes[2].Count("release") == sent; {
					select {
					case <-over:
						return
					case <-time.After(25 * time.Millisecond):
					}
				}
				nodes[2].Set(fakenode.Faults{})
			}
		})
		if errs := g.Settle(background); errs != nil {
			t.Error(errs)
		}
		took := time.Since(begun)
		close(over)
		disturbed.Wait()
		if took < keyLifetime || took > 8*keyLifetime { // every other second has no answer
			t.Errorf("unknown for %v, want %v of answers, and what the silences took", took, keyLifetime)
		}
	})
}

// A command that was on its way to a node that fell silent arrives when the silence
// is over. If it waited in a socket of the server it arrives at once. If its sender repeats
// it in longer and longer intervals, as TCP does, it arrives later.
func TestAcquireThatASilenceHeldBackIsReleased(t *testing.T) {
	for name, after := range map[string]time.Duration{
		"waited in a socket": time.Millisecond, "was sent again": 5 * time.Second, "came at the very end": keyLifetime - 20*time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			for _, before := range []time.Duration{timeout, keyLifetime / 2, keyLifetime - 20*time.Millisecond} {
				onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
					const frozen = 20 * time.Second
					thaw := timeout + before + frozen
					begun := unknownAcquire(t, g, nodes[2], thaw+after)
					time.Sleep(time.Until(begun.Add(before)))
					silence(nodes[2], frozen)
					if errs := g.Settle(background); errs != nil {
						t.Error(errs)
					}
					if nodes[2].Count("acquire") != 1 {
						t.Errorf("settled %v after the outcome became unknown, and the acquire has not arrived yet", time.Since(begun))
					}
					synctest.Wait()
					if nodes[2].Get("k") != "" {
						t.Errorf("the key is left")
					}
				})
			}
		})
	}
}

// For as long as the last silence took, commands that it held back may still arrive. The kind
// of silence does not matter, nor when the node was asked during it, nor what came after it.
func TestSilenceCountsFromItsBeginningToItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		fault         fakenode.Faults
		before, lasts time.Duration // of the silence
		second        time.Duration // of one after it, if any
		after         time.Duration // the silence, when the acquire takes effect
	}{
		"refused dials":        {fault: fakenode.Faults{Refuse: true}, before: 2 * timeout, lasts: 20 * time.Second, after: 5 * time.Second},
		"nothing gets there":   {fault: fakenode.Faults{LoseRequests: true}, before: 2 * timeout, lasts: 20 * time.Second, after: 5 * time.Second},
		"a short one after it": {fault: fakenode.Faults{LoseRequests: true}, before: keyLifetime - 600*time.Millisecond, lasts: 20 * time.Second, second: timeout + 100*time.Millisecond, after: 5 * time.Second},
		"not asked at first":   {fault: fakenode.Faults{LoseRequests: true}, before: 5620 * time.Millisecond, lasts: 4600 * time.Millisecond, after: 4590 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
				begun := unknownAcquire(t, g, nodes[2], timeout+c.before+c.lasts+c.after)
				time.Sleep(time.Until(begun.Add(c.before)))
				nodes[2].Set(c.fault)
				time.Sleep(c.lasts)
				nodes[2].Set(fakenode.Faults{})
				answersAgain := time.Now()
				if c.second > 0 {
					time.Sleep(200 * time.Millisecond)
					silence(nodes[2], c.second)
				}
				if errs := g.Settle(background); errs != nil {
					t.Error(errs)
				}
				if nodes[2].Count("acquire") != 1 {
					t.Errorf("settled %v after the silence, and the acquire has not arrived yet", time.Since(answersAgain))
				}
				synctest.Wait()
				if nodes[2].Get("k") != "" {
					t.Errorf("the key is left")
				}
			})
		})
	}
}

// A node that denied the lock is asked again for a key that expires with the others. Its
// shorter TTL makes the message no faster.
func TestUnknownOutcomeLastsAsLongForAKeyWithAShorterTTL(t *testing.T) {
	onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		nodes[2].Hold("k", "other", 100*time.Millisecond)
		c := g.NewClaim("k", "v", timeout)
		wait(t, c.Acquire(background, ttl), quorum.Won)
		synctest.Wait()
		time.Sleep(200 * time.Millisecond)
		nodes[2].Set(fakenode.Faults{Delay: 5 * time.Second})
		c.RetakeUntil(time.Now().Add(2 * time.Second))
		time.Sleep(timeout / 2) // it is on its way
		nodes[2].Set(fakenode.Faults{})
		wait(t, c.Release(background), quorum.Won)
		if errs := g.Settle(background); errs != nil {
			t.Error(errs)
		}
		if nodes[2].Count("acquire") != 2 {
			t.Errorf("settled, and of two acquires %d have arrived", nodes[2].Count("acquire"))
		}
		synctest.Wait()
		if nodes[2].Get("k") != "" {
			t.Error("the key is left")
		}
	})
}

// Which commands a node that is down still has is known only when it answers again.
func TestPendingReleaseEndsThoughTheNodeIsDown(t *testing.T) {
	for name, c := range map[string]struct {
		lost        bool // the answer to the acquire
		least, most time.Duration
	}{
		"acquired": {false, keyLifetime - timeout, keyLifetime + timeout}, "of unknown outcome": {true, maxUnknown + keyLifetime, maxUnknown + keyLifetime + timeout},
	} {
		t.Run(name, func(t *testing.T) {
			onNodes(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
				nodes[2].Set(fakenode.Faults{LoseReplies: c.lost})
				claim := acquire(t, g)
				time.Sleep(2 * timeout)
				nodes[2].Set(fakenode.Faults{Refuse: true})
				begun := time.Now()
				wait(t, claim.Release(background), quorum.Won)
				if errs := g.Settle(background); errs != nil {
					t.Error(errs)
				}
				if took := time.Since(begun); took < c.least-2*timeout || took > c.most {
					t.Errorf("it took %v, want %v to %v", took, c.least, c.most)
				}
			})
		})
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
