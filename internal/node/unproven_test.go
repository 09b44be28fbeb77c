package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A proxy may say that its server is not available after it sent the command there. So may
// one that allows no scripts: what it says proves nothing.
const unavailable = "ERR backend is not available"

// Another form is tried, and the outcome of the one before stays unknown.
func TestFormRefusedWithoutProofHasAnUnknownOutcome(t *testing.T) {
	for text, lost := range map[string]bool{unavailable: true, "ERR unknown command 'EVAL'": false} {
		for _, verb := range []Verb{AcquireOrFlag, Extend} {
			first := true
			refuse := func(args []any) error {
				if isScript(args) && first {
					first = false
					return pool.Error(text)
				}
				return nil
			}
			onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
				n.Trust()
				p.Hold("k", "v", ttl)
				first = true
				a := ask(t, n, verb, "k", "v")
				if a.Status != Granted && a.Status != Extended || a.SentBefore != lost {
					t.Errorf("%s: %v is answered with status %d (%v), lost: %t", text, verb, a.Status, a.Err, a.SentBefore)
				}
			})
		}
	}
}

// The error is that of the first form. What became of the last is no better known for that.
func TestLastFormMayHaveAnUnknownOutcomeAfterARefusedFirst(t *testing.T) {
	refuse := func(args []any) error {
		if isScript(args) {
			return pool.Error("ERR unknown command 'EVAL'")
		}
		return pool.Error(unavailable)
	}
	onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
		n.Trust()
		if a := ask(t, n, AcquireOrFlag, "k", "v"); a.Status != Failed || !a.SentBefore {
			t.Errorf("status %d (%v), lost: %t", a.Status, a.Err, a.SentBefore)
		}
	})
}

// The next one is not sent then, since the deadline has passed. That says nothing of the first.
func TestFormRefusedLateHasAnUnknownOutcome(t *testing.T) {
	refuse := func(args []any) error {
		if isScript(args) {
			time.Sleep(2 * timeout) // whatever the context says
			return pool.Error(unavailable)
		}
		return nil
	}
	onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
		n.Trust()
		var r recorder
		if err := n.Start(call(AcquireOrFlag, "k", "v", &r)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * timeout)
		synctest.Wait()
		if len(r.late) != 1 || NothingDone(AcquireOrFlag, r.late[0].Err) && !r.late[0].SentBefore {
			t.Errorf("late answers: %+v", r.late)
		}
	})
}
