package fanout

import (
	"errors"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// errSuperseded is the answer to a command that was still waiting when another
// took its place, such as an extension overtaken by the release.
var errSuperseded = errors.New("superseded before it was sent")

// errNotWaitedFor stands for the answer of a node that was not waited for.
var errNotWaitedFor = errors.New("not waited for")

// vote records the answer to the call, and to those that it was sent for as well, and
// passes it to the rounds that asked, if any. The claim's mutex is held.
func (c *call) vote(a node.Answer) {
	c.record(a)
	for c.coalesced != nil {
		earlier := c.coalesced
		c.coalesced, earlier.coalesced = earlier.coalesced, nil
		earlier.record(a)
		earlier.finished() // it never was with the node, and nothing leads to it any more
	}
}

func (c *call) record(a node.Answer) {
	c.answer = a
	if c.round != nil {
		c.round.count(c)
	}
}

// supersede ends a call that was not sent, and has left its seat.
func (c *call) supersede() {
	c.vote(node.Answer{Err: errSuperseded})
	c.finished()
}

// maxUnknown is how long after its TTL an acquire of unknown fate is remembered
// while the node answers nothing at all: a server that is stopped for longer,
// and then goes on, may keep a stray key for one TTL.
const maxUnknown = 10 * time.Minute

// learn notes what the answer to a call says about the node. A key that the
// call set lives no longer than life from now.
//
// If the call had to be sent again, what was sent before is of unknown fate, as if it had
// been given up. It began earlier than what was answered, but that makes it no older: it
// was given up when its connection ended, and the doubt counts from now, which is later,
// and from the work that the node had done by now. So it is never over too early.
func (s *nodeState) learn(verb node.Verb, a node.Answer, life time.Duration) {
	until := a.At.Add(life)
	if a.Lost {
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
	case node.Taken, node.Queued, node.Stale, node.Absent:
		// Touched all the same: a release on a node that says "taken" costs
		// little and covers a send that was doubled on the way.
		s.held, s.maybeSet = false, true
		s.denied = a.Status != node.Absent || verb == node.Swap // no extension has looked yet
	case node.Failed:
		if node.NothingDone(verb, a.Err) {
			return
		}
		s.maybeSet = true
		switch {
		case verb == node.Extend:
			s.extensionUnknown(until, life)
		case a.InClient:
			s.outstanding++ // what became of it is known when the client returns: see late
		default:
			s.acquireUnknown(a, life)
		}
	}
}

// noteMayLive notes that the key may live until then.
func (s *nodeState) noteMayLive(until time.Time) { s.mayLiveUntil = later(s.mayLiveUntil, until) }

// acquireUnknown notes that an acquire of unknown fate was given up. The last such one counts.
// It may take effect as long as there is a doubt, at its very end, too: then the key
// lives on from there. The doubt is as long for one whose key is to live for less than
// those of the lock, since only the end of the lock is near (see Keep): no message is
// faster for that.
func (s *nodeState) acquireUnknown(a node.Answer, life time.Duration) {
	s.keyLifetime = max(s.keyLifetime, life)
	s.noteMayLive(a.At.Add(s.keyLifetime).Add(life))
	s.unknownSince, s.answeredThen = later(s.unknownSince, a.At), max(s.answeredThen, a.Work)
}

// extensionUnknown notes that an extension is of unknown fate. It never sets a key, so there
// is no doubt about a release that comes after the acquire; but if it is carried out
// late, it finds the key that is there until then, and prolongs it once more. (That
// several are so late, one after the other, is not accounted for.)
func (s *nodeState) extensionUnknown(until time.Time, life time.Duration) {
	s.extendUnknown = true
	s.noteMayLive(until.Add(life))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// learnLate notes that the client returned from a call that had been given up.
func (s *nodeState) learnLate(verb node.Verb, a node.Answer, life time.Duration) {
	if verb.Sets() {
		s.outstanding--
		if a.Lost { // whatever became of the last send
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
		s.held, s.heldUntil = true, until // from here on a release is certain to come after it
	}
}

// releaseAnswered notes the answer to a releaseAnswered. Where an earlier releaseAnswered of ours has
// deleted the key, or may have (as one that was lost on its way there, or back), a key
// that is gone is one that we deleted: it says nothing about whether the lock was held.
func (s *nodeState) releaseAnswered(a node.Answer) node.Answer {
	if a.Lost || a.Status == node.Deleted || a.Status == node.Failed && !node.NothingDone(node.Release, a.Err) {
		s.releasedByUs = true
	}
	if a.Status == node.Absent && s.releasedByUs {
		a.Status = node.Deleted
	}
	return a
}

// provesRelease reports whether a release that was not sent before then, and that n answers now,
// comes after everything that may have set the key.
//
// An acquire of unknown fate leaves a doubt for as long as its key could live: so long
// it may be on its way. Only time in which the node answers counts. A server that is
// stopped keeps the commands in its sockets, and a network that is cut off those that
// it has, and both go on with them, and their whole TTL, when the silence ends.
//
// But a silence does not undo what was there before it. What was on its way while the
// node answered came nearer then, and what had arrived was carried out: so times between
// silences add up, or a client that is slow to notice answers once in each TTL would be in
// doubt for ever. After the last silence there has to be as much time as it took, since
// commands that it held back come one after the other, and a sender that heard
// nothing repeats in longer and longer intervals, up to what has passed. Where one silence
// follows another before that, twice the time in all is enough.
func (s *nodeState) provesRelease(n *node.Node, sent time.Time) bool {
	return s.unknownIsOver(n, sent, 0)
}

// certainlyExpired reports whether no key of the claim can be on n any more: what took effect at
// the very end of the doubt is as old as it may become.
func (s *nodeState) certainlyExpired(n *node.Node) bool {
	return s.unknownIsOver(n, time.Now(), s.keyLifetime) && !s.mayLiveUntil.After(time.Now())
}

// unknownIsOver reports whether there is no doubt, or whether by then it had been over for so
// long. Answers that came since tell of the time before.
func (s *nodeState) unknownIsOver(n *node.Node, by time.Time, over time.Duration) bool {
	switch {
	case s.outstanding > 0:
		return false
	case s.unknownSince.IsZero():
		return true
	}
	if by.Sub(s.unknownSince)-s.keyLifetime > maxUnknown {
		return true
	}
	p := n.Pulse()
	answered := p.Work - s.answeredThen - over - max(0, p.Heard.Sub(by))
	return p.Answers && p.Heard.After(s.unknownSince) && answered >= s.keyLifetime && (by.Sub(p.Since) >= min(p.Hush, s.keyLifetime) || answered >= 2*s.keyLifetime)
}

// unknownFor is how long an answered release will still prove nothing, 0 if that is not
// known: after it, clean is true if n goes on answering.
func (s *nodeState) unknownFor(n *node.Node) time.Duration {
	if s.outstanding > 0 || s.unknownSince.IsZero() {
		return 0
	}
	p := n.Pulse()
	answered := p.Work - s.answeredThen
	return max(0, s.keyLifetime-answered, min(time.Until(p.Since.Add(min(p.Hush, s.keyLifetime))), 2*s.keyLifetime-answered))
}
