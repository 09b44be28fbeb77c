package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// openBreaker makes so many calls that are not answered well that no more are sent.
func openBreaker(t *testing.T, n *Node) {
	t.Helper()
	time.Sleep(time.Millisecond) // since the last answer
	var r recorder
	for range breakerLimit + 1 {
		n.Start(call(AcquireOrFlag, "k", "v", &r))
	}
	time.Sleep(timeout)
	synctest.Wait()
	if n.Start(call(AcquireOrFlag, "k", "v", &r)) == nil {
		t.Fatal("the breaker is closed")
	}
}

// One error of a proxy, and then silence: the node is silent, and a wait for it goes on.
func TestErrorOfAProxyBeforeASilenceIsNotReportedDuringIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, fake)
		ask(t, n, Inspect, "k", "")
		time.Sleep(time.Millisecond)
		fake.Set(fakenode.Faults{Error: "ERR words that no server has used before"})
		ask(t, n, AcquireOrFlag, "k", "v")
		fake.Set(fakenode.Faults{LoseRequests: true})
		openBreaker(t, n)
		if a := ask(t, n, AcquireOrFlag, "k", "v"); isRefusal(a.Err) {
			t.Errorf("it says %v", a.Err)
		}
		time.Sleep(timeout) // for the probe
	})
}

// That nothing is sent any more makes it no node that has never answered well.
func TestRefusalThatOpensTheBreakerAfterAnAnswerIsNotPermanent(t *testing.T) {
	onPicky(t, func([]any) error { return nil }, func(t *testing.T, p *pickyNode, n *Node) {
		n.Trust()
		wantStatus(t, ask(t, n, Extend, "k", "v"), Absent)
		p.refuse = func([]any) error { return pool.Error("ERR forbidden by the proxy") }
		var s Streak
		s.Note(ask(t, n, Extend, "k", "v"))
		if s.Permanent() {
			t.Fatal("it is permanent before the breaker opens")
		}
		time.Sleep(time.Millisecond)
		var r recorder
		for range 2 * breakerLimit {
			n.Start(call(Extend, "k", "v", &r))
		}
		synctest.Wait()
		a := ask(t, n, Extend, "k", "v")
		a.At = time.Now()
		if s.Note(a); s.Permanent() || !isRefusal(a.Err) {
			t.Errorf("permanent: %t, with %v", s.Permanent(), a.Err)
		}
		time.Sleep(timeout)
	})
}

// A noPing pool is a proxy that lets no PING through.
type noPing struct{ *fakenode.Node }

func (p noPing) Do(ctx context.Context, args ...any) (any, error) {
	if args[0] == "PING" {
		return nil, pool.Error("ERR invalid command")
	}
	return p.Node.Do(ctx, args...)
}

func TestWithoutPingACallProbesASilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, noPing{fake})
		ask(t, n, Inspect, "k", "")
		fake.Set(fakenode.Faults{LoseRequests: true})
		openBreaker(t, n)
		var r recorder
		for range 10 * time.Second / probePause {
			n.Start(call(Inspect, "k", "", &r))
			time.Sleep(probePause)
		}
		if sent, most := fake.Sent()-breakerLimit-2, int(10*time.Second/timeout); sent > most {
			t.Errorf("%d calls were sent while nothing is answered, more than one at a time", sent)
		}
		fake.Set(fakenode.Faults{})
		time.Sleep(timeout)
		for range 3 {
			a := ask(t, n, Inspect, "k", "")
			if time.Sleep(2 * probePause); a.Err == nil {
				return
			}
		}
		t.Error("nothing is sent to a node that is back")
	})
}
