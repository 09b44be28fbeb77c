package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// breakerLimit is how many calls may be unanswered before the circuit breaker opens.
const breakerLimit = 64

// ErrBusy is returned by Start for a node that does not answer: nothing was sent to it.
var ErrBusy = errors.New("node does not answer; nothing sent while one probe is under way")

// What a node that hangs can hold, for each Locker: maxWorkers calls with a client that blocks, and
// so as many goroutines, or maxWithSubmitter with one that calls back; others wait in Node.queue,
// without a goroutine, until their deadline. Of the goroutines at most maxIdle stay when the calls
// have ended. After breakerLimit unanswered calls the breaker below rejects further ones.
//
// A breaker is a circuit breaker. It keeps a node that does not answer from collecting calls. A
// client that gives up at its deadline leaves commands of unknown outcome behind. A client that
// cannot be interrupted leaves goroutines behind. With more than breakerLimit of either the
// breaker is open: calls are rejected before they leave anything with the node, and one PING at
// a time finds out when the node answers again. So what a node can hold stays bounded however
// long it hangs.
//
// A rejected call sends the PING. If no call came for a while the state of the node is unknown,
// and the call itself goes through. So does one call at a time where a proxy refuses PING.
type breaker struct {
	unanswered     int           // calls without an answer since the last answer
	unsent         bool          // a call could not be sent since then: that is a silence, too
	outstanding    int           // calls that were given up and are still with the client
	lastAnswer     time.Time     // when it came
	answeringSince time.Time     // the end of the last silence, or when the Node was made
	lastSilence    time.Duration // how long that silence was
	silentSince    time.Time     // when the last silence began, at the earliest; see silenceStart
	answeredBefore time.Duration // how long the node had been answering before that silence, in all
	probe          *Call         // in flight, until the client returns
	noPing         bool          // the last PING was refused, as by a proxy that takes none
	proxyErr       error         // the last call's error reply, if it may be a proxy's
	lastFailure    time.Time     // when a call last ended without an answer
}

// Sampling is how often a node is asked at least while the length of its silences matters: as
// long as a command of unknown outcome may still take effect there.
const Sampling = time.Second

// silenceStart is when a silence may have begun whose first unanswered call is c: after the
// last answer, and not much earlier than c if nothing was sent for a while.
func (b *breaker) silenceStart(c *Call) time.Time {
	if earliest := c.Deadline.from.Add(-Sampling); b.lastAnswer.Before(earliest) {
		return earliest
	}
	return b.lastAnswer
}

const (
	probePause = 100 * time.Millisecond // between probes
	probeStale = time.Second            // after it, the last failure says nothing about the node
)

func (b *breaker) isOpen() bool { return b.unanswered > breakerLimit || b.outstanding > breakerLimit }

// admit lets a call through, or rejects it. If probe is true, a PING is to be sent in its
// place.
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
			rest := b.lastSilence - max(0, b.lastAnswer.Sub(b.answeringSince)) // of the silence before, which has not been outlasted yet
			b.answeredBefore, b.lastSilence = b.answeredTime(), max(now.Sub(b.silentSince), rest)
			b.unanswered, b.unsent, b.answeringSince = 0, false, now
		}
		b.lastAnswer = now
	case late: // a late failure was counted when it was given up
	case errors.Is(a.Err, pool.ErrNotSent) && !errors.Is(a.Err, context.DeadlineExceeded) && !c.sentBefore:
		// A command that was refused before it was sent leaves nothing with the node. But the
		// node answers no command then: earlier ones may still be on their way.
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

// A busyError is ErrBusy with the last error of a proxy, which answers for a server that does
// not.
type busyError struct{ proxyErr error }

func (e busyError) Error() string        { return fmt.Sprintf("%v; before that: %v", ErrBusy, e.proxyErr) }
func (e busyError) Unwrap() error        { return e.proxyErr }
func (e busyError) Is(target error) bool { return target == ErrBusy }

// busy is the error of a call that is rejected.
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

// answeredTime is how long the node has been answering, in all: from the end of each silence
// until the last answer before the next silence.
func (b *breaker) answeredTime() time.Duration {
	return b.answeredBefore + max(0, b.lastAnswer.Sub(b.answeringSince))
}

// answeredTimeBy is answeredTime for a call that is given up now. Whether the node answered
// since the last answer is not known yet. The time since then counts as answered: it must not
// count again for what comes after now.
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

// countUnanswered counts a call for the silence of the node, unless the node answered another
// call since this one was started: then the connection is at fault.
func (b *breaker) countUnanswered(c *Call, now time.Time) {
	b.lastFailure = now
	if b.lastAnswer.Before(c.Deadline.from) {
		if !b.isSilent() {
			b.silentSince = b.silenceStart(c)
		}
		b.unanswered++
	}
}

// isSilent reports whether the node answered nothing since the last answer.
func (b *breaker) isSilent() bool { return b.unanswered > 0 || b.unsent }
