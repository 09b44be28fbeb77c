package fanout

import (
	"errors"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A nodeState is what is known about a claim on one node. When a release proves that the
// value is gone is decided in node_state_proof.go.
type nodeState struct {
	inFlight             *call // neither answered nor given up
	next                 *call // follows it
	outstanding          int   // calls given up here and still with the client
	denied               bool  // the last answer: the key has another value, or another waiter is first
	maybeSet             bool  // something was sent that may have set the key
	extendUnknown        bool  // the outcome of an extension is unknown
	held                 bool  // as last known, until heldUntil
	heldUntil            time.Time
	slot                 uint8         // that it has granted, of a semaphore
	stray                bool          // it has granted another one than the chosen
	giveBack             bool          // and that slot is to be given back at once
	duplicate            bool          // the node is the same server as another one, which counts for both
	pendingRelease       bool          // the node's releaseQueue repeats the release
	settled              bool          // released, and the value cannot come back
	releasedByUs         bool          // a release of ours deleted the key, or may have
	sentWhileOutstanding bool          // the release in flight was sent while a call was outstanding
	gone                 chan struct{} // made by Leftover.Gone, closed when settled or pendingRelease

	// The outcome of an acquire that was given up is unknown for a time. The time counts from
	// here, or, while the call is outstanding, from when the client returns.
	unknownSince time.Time
	answeredThen time.Duration // how long the node had been answering by then, see node.Liveness
	keyLifetime  time.Duration // of the lock's keys; so long a command may be on its way
	// Until when the key may live if no command deletes it.
	mayLiveUntil time.Time
}

// errNotWaitedFor stands for the answer of a node that had not answered when the question was
// decided.
var errNotWaitedFor = errors.New("not waited for")

// learn notes what the answer to a call says about the node. A key that the
// call set lives no longer than life from now.
//
// If the call had to be sent again, the outcome of the earlier send is unknown, as if that send
// had been given up when its connection ended. The time in which the outcome is unknown is
// counted from now, which is later than that, and so is the time that the node has been
// answering. So it never ends too early.
func (s *nodeState) learn(verb node.Verb, a node.Answer, life time.Duration) {
	until := a.At.Add(life)
	if a.SentBefore {
		s.maybeSet = true
		switch {
		case verb.Sets():
			s.acquireUnknown(a, life)
		case verb == node.Extend:
			s.extensionUnknown(until, life)
		case verb == node.Expire:
			s.noteMayLive(until.Add(life))
		}
	}
	if verb.Releases() {
		if a.Status == node.Deleted || a.Status == node.Absent {
			s.held = false
		}
		if verb == node.Expire {
			s.expiryAnswered(a, life)
		}
		return
	}
	switch a.Status {
	case node.Granted, node.Extended:
		s.denied = false
		s.held, s.heldUntil = true, until
		s.maybeSet = true
		s.noteMayLive(until)
	case node.Taken, node.Queued, node.TokenTooSmall, node.Absent:
		// Maybe set all the same: the command may have been carried out twice on the way. A
		// release on a node that says "taken" costs little, and covers that.
		s.held, s.maybeSet = false, true
		s.denied = a.Status != node.Absent || verb == node.Swap // an extension does not tell whether the key is free
	case node.Failed:
		if node.NothingDone(verb, a.Err) {
			return
		}
		s.maybeSet = true
		switch {
		case verb == node.Extend:
			s.extensionUnknown(until, life)
		case node.HalfDone(a.Err): // it has ended: a release from here on comes after it
			s.noteMayLive(until)
		case a.InClient:
			s.outstanding++ // the outcome is known when the client returns: see learnLate
		default:
			s.acquireUnknown(a, life)
		}
	}
}

// learnLate notes that the client returned from a call that had been given up.
func (s *nodeState) learnLate(verb node.Verb, a node.Answer, life time.Duration) {
	if verb.Sets() {
		s.outstanding--
		if a.SentBefore { // whatever the outcome of the last send
			s.acquireUnknown(a, life)
		}
	}
	if verb == node.Expire {
		s.expiryAnswered(a, life)
	}
	if verb.Releases() || node.NothingDone(verb, a.Err) {
		return
	}
	until := a.At.Add(life)
	switch {
	case a.Status != node.Failed:
		s.noteMayLive(until)
	case verb == node.Extend:
		s.extensionUnknown(until, life)
	default:
		s.acquireUnknown(a, life)
	}
	if a.Status == node.Granted {
		s.held, s.heldUntil = true, until // a release that is sent from here on is certain to come after it
	}
}

// noteMayLive notes that the key may live until then.
func (s *nodeState) noteMayLive(until time.Time) { s.mayLiveUntil = later(s.mayLiveUntil, until) }

// acquireUnknown notes that an acquire was given up, and that its outcome is unknown. The last
// such acquire counts. It may take effect as long as its outcome is unknown, even at the very
// end: then the key lives on from there.
//
// A key that is to live for less than the others of the lock, because the end of the lock is
// near (see RetakeUntil), leaves the outcome unknown for as long as they do: a shorter TTL
// makes no message faster.
func (s *nodeState) acquireUnknown(a node.Answer, life time.Duration) {
	s.keyLifetime = max(s.keyLifetime, life)
	s.noteMayLive(a.At.Add(s.keyLifetime).Add(life))
	s.unknownSince, s.answeredThen = later(s.unknownSince, a.At), max(s.answeredThen, a.AnsweredTime)
}

// extensionUnknown notes that the outcome of an extension is unknown. An extension never sets
// a key. So a release that comes after the acquire still proves that the value is gone. But an
// extension that is carried out late finds the key that is there until then, and prolongs it
// once more. (Several that are so late, one after the other, are not accounted for.)
func (s *nodeState) extensionUnknown(until time.Time, life time.Duration) {
	s.extendUnknown = true
	s.noteMayLive(until.Add(life))
}

// expiryAnswered notes the outcome of an expiry: for how long the key may live. life is that of
// a key with the TTL that was sent.
func (s *nodeState) expiryAnswered(a node.Answer, life time.Duration) {
	switch {
	case a.Status == node.Deleted:
		s.noteMayLive(a.At.Add(life))
	case a.Status == node.Failed && !node.NothingDone(node.Expire, a.Err):
		s.noteMayLive(a.At.Add(life).Add(life)) // see extensionUnknown
	}
}

// releaseAnswered notes the answer to a release. An earlier release of ours may have deleted the
// key, even one that was lost on its way there or back. Then a key that is gone counts as
// deleted by us: that it is gone does not tell whether the lock was held.
func (s *nodeState) releaseAnswered(a node.Answer) node.Answer {
	if a.SentBefore || a.Status == node.Deleted || a.Status == node.Failed && !node.NothingDone(node.Release, a.Err) {
		s.releasedByUs = true
	}
	if a.Status == node.Absent && s.releasedByUs {
		a.Status = node.Deleted
	}
	return a
}

// closeGone tells the waiters for a leftover that waiting longer is of no use: the node is
// settled, or its releaseQueue repeats the release.
func (s *nodeState) closeGone() {
	if s.gone != nil {
		close(s.gone)
		s.gone = nil
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
