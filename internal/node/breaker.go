package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// gateLimit is how many calls may be in the dark before the gate closes.
const breakerLimit = 64

// ErrBusy is returned by Start for a node that does not answer: nothing was sent to it.
var ErrBusy = errors.New("node does not answer; nothing sent while one probe is under way")

// A gate keeps a node that does not answer from collecting calls. A client that
// gives up at its deadline leaves commands of unknown fate behind; one that
// cannot be interrupted leaves goroutines behind. With more than gateLimit of
// either the gate is closed: calls are refused before they owe the node
// anything, and one PING at a time finds out when it answers again. So what a
// node can hold stays flat however long it hangs.
//
// The PINGs follow the demand: a refused call sets one off. Where there was no
// demand for a while nothing is known, and the call itself goes through. So it does, one
// at a time, where a proxy refuses PING.
type breaker struct {
	unanswered     int           // calls without an answer since the last answer
	unsent         bool          // since then one could not be sent: that, too, is a silence
	outstanding    int           // calls that were given up and are still with the client
	lastAnswer     time.Time     // the last answer
	answeringSince time.Time     // when the node last broke a silence, or was made
	lastSilence    time.Duration // how long that silence had been
	silentSince    time.Time     // when the last silence began, at the earliest; see quietSince
	answeredBefore time.Duration // how long the node had been answering before it, in all
	probe          *Call         // under way, until the client returns
	noPing         bool          // the last PING was refused, as a proxy does that takes none
	proxyErr       error         // an error reply that may be a proxy's, if that is what became of the last call
	lastFailure    time.Time     // when a call last ended without an answer
}

// Sampling is how often a node is asked at least while it matters how long its silences
// are: as long as a command of unknown fate may still take effect there.
const Sampling = time.Second

// quietSince is when a silence may have begun whose first call that was not answered is c:
// after the last answer, and not much earlier than c where nobody asked.
func (b *breaker) silenceStart(c *Call) time.Time {
	if earliest := c.Deadline.from.Add(-Sampling); b.lastAnswer.Before(earliest) {
		return earliest
	}
	return b.lastAnswer
}

const (
	probePause = 100 * time.Millisecond // between probes
	probeStale = time.Second            // after it, what was tried says nothing about now
)

func (b *breaker) isOpen() bool { return b.unanswered > breakerLimit || b.outstanding > breakerLimit }

// admit decides about a call: let it through, or refuse it, and if probe is
// true send a PING in its place.
func (b *breaker) admit(c *Call) (ok, probe bool) {
	switch {
	case !b.isOpen():
		return true, false
	case b.probe != nil:
		return false, false
	case c.Deadline.from.Sub(b.lastFailure) > probeStale, b.noPing && c.Deadline.from.Sub(b.lastFailure) > probePause:
		b.probe = c
		return true, false
	}
	return false, c.Deadline.from.Sub(b.lastFailure) > probePause
}

// returned notes that the client returned from a call.
func (b *breaker) returned(c *Call, a *Answer, now time.Time) {
	late := c.state == givenUp
	if late {
		b.outstanding--
	}
	if b.probe == c {
		b.probe = nil
		if c.Request.Verb == ping {
			b.noPing = refusesForm(c.Request, a.Err)
		}
	}
	switch {
	case a.Answered():
		if b.isSilent() {
			rest := b.lastSilence - max(0, b.lastAnswer.Sub(b.answeringSince)) // that the silence before still calls for
			b.answeredBefore, b.lastSilence = b.answeredTime(), max(now.Sub(b.silentSince), rest)
			b.unanswered, b.unsent, b.answeringSince = 0, false, now
		}
		b.lastAnswer = now
	case late: // a late failure was counted when it was given up
	case errors.Is(a.Err, pool.ErrNotSent) && !errors.Is(a.Err, context.DeadlineExceeded) && !c.lost:
		// A command that was refused before it was sent leaves nothing with the node. But
		// the node answers nobody then: those before it may still be on their way.
		if b.lastAnswer.Before(c.Deadline.from) && !b.isSilent() {
			b.silentSince, b.unsent = b.silenceStart(c), true
		}
	default:
		b.countUnanswered(c, now)
		b.proxyErr = nil
		if isRefusal(a.Err) {
			b.proxyErr = a.Err
		}
	}
}

// A busy error is ErrBusy with what a proxy said last, which answers for a server that
// does not.
type busyError struct{ proxyErr error }

func (e busyError) Error() string        { return fmt.Sprintf("%v; before that: %v", ErrBusy, e.proxyErr) }
func (e busyError) Unwrap() error        { return e.proxyErr }
func (e busyError) Is(target error) bool { return target == ErrBusy }

// busy is the error of a call that is refused.
func (b *breaker) busy() error {
	if b.proxyErr == nil {
		return ErrBusy
	}
	return busyError{b.proxyErr}
}

// gaveUp notes that a call passed its deadline while it was with the client.
func (b *breaker) gaveUp(c *Call, now time.Time) {
	b.outstanding++
	b.countUnanswered(c, now)
	b.proxyErr = nil
}

// answered is how long the node has been answering, in all: from the end of each silence
// until the last answer before the next one.
func (b *breaker) answeredTime() time.Duration {
	return b.answeredBefore + max(0, b.lastAnswer.Sub(b.answeringSince))
}

// work is answered for what was given up now: of the time since the last answer nothing
// is known yet, and none of it may count for what comes after now.
func (b *breaker) answeredTimeBy(now time.Time) time.Duration {
	if b.isSilent() {
		return b.answeredTime()
	}
	return b.answeredBefore + max(0, now.Sub(b.answeringSince))
}

// neverSent notes that a call left the queue without being sent.
func (b *breaker) neverSent(c *Call) {
	if b.probe == c {
		b.probe = nil
	}
}

// unanswered counts a call for the silence of the node, unless the node
// answered others since the call was started: then the fault is in the
// connection.
func (b *breaker) countUnanswered(c *Call, now time.Time) {
	b.lastFailure = now
	if b.lastAnswer.Before(c.Deadline.from) {
		if !b.isSilent() {
			b.silentSince = b.silenceStart(c)
		}
		b.unanswered++
	}
}

// hushed reports whether nothing came back from the node since the last answer.
func (b *breaker) isSilent() bool { return b.unanswered > 0 || b.unsent }
