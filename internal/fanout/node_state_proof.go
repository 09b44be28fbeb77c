package fanout

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// When an answered release proves that the value is gone from a node for good.
//
// The outcome of an acquire that was given up is unknown for as long as its key could live:
// so long the acquire may be on its way. Only time in which the node answers counts. A stopped
// server keeps the commands in its sockets, and a network that is cut off keeps those that it
// has. Both go on with them, and with their whole TTL, when the silence ends.
//
// But a silence does not cancel the time before it. While the node answered, commands on
// their way came nearer, and those that had arrived were carried out. So the times between
// silences add up. Otherwise a client that is slow to notice answers once in each TTL would
// never get rid of the unknown outcome.
//
// After the last silence the node must answer for as long as that silence took. The commands
// that the silence held back come one after the other. A sender that heard nothing repeats
// in longer and longer intervals, up to the time that has passed. If another silence comes
// before that, twice the time in all is enough.

// maxUnknown is how long, after the lifetime of its key, an acquire of unknown outcome is
// remembered while the node answers nothing at all. A server that is stopped for longer, and
// then goes on, may keep a stray key for one TTL.
const maxUnknown = 10 * time.Minute

// provesRelease reports whether a release that n answers now, and that was not sent before
// sent, comes after everything that may have set the key.
func (s *nodeState) provesRelease(n *node.Node, sent time.Time) bool {
	return s.unknownIsOver(n, sent, 0)
}

// certainlyExpired reports whether no key of the claim can be on n any more, even one that
// was set at the very end of the time in which the outcome was unknown.
func (s *nodeState) certainlyExpired(n *node.Node) bool {
	return s.unknownIsOver(n, time.Now(), s.keyLifetime) && !s.mayLiveUntil.After(time.Now())
}

// unknownIsOver reports whether no outcome was unknown in the time of length margin that ends at
// the instant "by". An outcome stays unknown while the client still has the call: maxUnknown
// counts from its return.
func (s *nodeState) unknownIsOver(n *node.Node, by time.Time, margin time.Duration) bool {
	switch {
	case s.outstanding > 0:
		return false
	case s.unknownSince.IsZero():
		return true
	}
	if by.Sub(s.unknownSince)-s.keyLifetime > maxUnknown {
		return true
	}
	return s.answeredLongEnough(n.Liveness(), by, margin)
}

// answeredLongEnough is unknownIsOver for an acquire of unknown outcome on a node that answers
// as p says. Answers that came after by tell about the time before it.
func (s *nodeState) answeredLongEnough(p node.Liveness, by time.Time, margin time.Duration) bool {
	answered := p.AnsweredTime - s.answeredThen - margin - max(0, p.LastAnswer.Sub(by))
	longEnough := answered >= s.keyLifetime
	outlastedSilence := by.Sub(p.AnsweringSince) >= min(p.LastSilence, s.keyLifetime)
	return p.Answers && p.LastAnswer.After(s.unknownSince) && longEnough && (outlastedSilence || answered >= 2*s.keyLifetime)
}

// unknownFor is how long an answered release will still prove nothing, 0 if that is not
// known. After that time provesRelease is true if n goes on answering.
func (s *nodeState) unknownFor(n *node.Node) time.Duration {
	if s.outstanding > 0 || s.unknownSince.IsZero() {
		return 0
	}
	p := n.Liveness()
	answered := p.AnsweredTime - s.answeredThen
	return max(0, s.keyLifetime-answered, min(time.Until(p.AnsweringSince.Add(min(p.LastSilence, s.keyLifetime))), 2*s.keyLifetime-answered))
}
