package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// gateLimit is how many calls may be in the dark before the gate closes.
const gateLimit = 64

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
type gate struct {
	silent int           // calls without an answer since the last answer
	cut    bool          // since then one could not be sent: that, too, is a silence
	stuck  int           // calls that were given up and are still with the client
	heard  time.Time     // the last answer
	since  time.Time     // when the node last broke a silence, or was made
	hush   time.Duration // how long that silence had been
	quiet  time.Time     // when the last silence began, at the earliest; see quietSince
	calm   time.Duration // how long the node had been answering before it, in all
	probe  *Call         // under way, until the client returns
	noPing bool          // the last PING was refused, as a proxy does that takes none
	said   error         // an error reply that may be a proxy's, if that is what became of the last call
	tried  time.Time     // when a call last ended without an answer
}

// Sampling is how often a node is asked at least while it matters how long its silences
// are: as long as a command of unknown fate may still take effect there.
const Sampling = time.Second

// quietSince is when a silence may have begun whose first call that was not answered is c:
// after the last answer, and not much earlier than c where nobody asked.
func (g *gate) quietSince(c *Call) time.Time {
	if earliest := c.Deadline.from.Add(-Sampling); g.heard.Before(earliest) {
		return earliest
	}
	return g.heard
}

const (
	probePause = 100 * time.Millisecond // between probes
	probeStale = time.Second            // after it, what was tried says nothing about now
)

func (g *gate) closed() bool { return g.silent > gateLimit || g.stuck > gateLimit }

// admit decides about a call: let it through, or refuse it, and if probe is
// true send a PING in its place.
func (g *gate) admit(c *Call) (ok, probe bool) {
	switch {
	case !g.closed():
		return true, false
	case g.probe != nil:
		return false, false
	case c.Deadline.from.Sub(g.tried) > probeStale, g.noPing && c.Deadline.from.Sub(g.tried) > probePause:
		g.probe = c
		return true, false
	}
	return false, c.Deadline.from.Sub(g.tried) > probePause
}

// returned notes that the client returned from a call.
func (g *gate) returned(c *Call, a *Answer, now time.Time) {
	late := c.state == givenUp
	if late {
		g.stuck--
	}
	if g.probe == c {
		g.probe = nil
		if c.Request.Verb == ping {
			g.noPing = refusesForm(c.Request, a.Err)
		}
	}
	switch {
	case a.Answered():
		if g.hushed() {
			rest := g.hush - max(0, g.heard.Sub(g.since)) // that the silence before still calls for
			g.calm, g.hush = g.answered(), max(now.Sub(g.quiet), rest)
			g.silent, g.cut, g.since = 0, false, now
		}
		g.heard = now
	case late: // a late failure was counted when it was given up
	case errors.Is(a.Err, pool.ErrNotSent) && !errors.Is(a.Err, context.DeadlineExceeded) && !c.lost:
		// A command that was refused before it was sent leaves nothing with the node. But
		// the node answers nobody then: those before it may still be on their way.
		if g.heard.Before(c.Deadline.from) && !g.hushed() {
			g.quiet, g.cut = g.quietSince(c), true
		}
	default:
		g.unanswered(c, now)
		g.said = nil
		if isRefusal(a.Err) {
			g.said = a.Err
		}
	}
}

// A busy error is ErrBusy with what a proxy said last, which answers for a server that
// does not.
type busyError struct{ said error }

func (e busyError) Error() string        { return fmt.Sprintf("%v; before that: %v", ErrBusy, e.said) }
func (e busyError) Unwrap() error        { return e.said }
func (e busyError) Is(target error) bool { return target == ErrBusy }

// busy is the error of a call that is refused.
func (g *gate) busy() error {
	if g.said == nil {
		return ErrBusy
	}
	return busyError{g.said}
}

// gaveUp notes that a call passed its deadline while it was with the client.
func (g *gate) gaveUp(c *Call, now time.Time) {
	g.stuck++
	g.unanswered(c, now)
	g.said = nil
}

// answered is how long the node has been answering, in all: from the end of each silence
// until the last answer before the next one.
func (g *gate) answered() time.Duration { return g.calm + max(0, g.heard.Sub(g.since)) }

// work is answered for what was given up now: of the time since the last answer nothing
// is known yet, and none of it may count for what comes after now.
func (g *gate) work(now time.Time) time.Duration {
	if g.hushed() {
		return g.answered()
	}
	return g.calm + max(0, now.Sub(g.since))
}

// neverSent notes that a call left the queue without being sent.
func (g *gate) neverSent(c *Call) {
	if g.probe == c {
		g.probe = nil
	}
}

// unanswered counts a call for the silence of the node, unless the node
// answered others since the call was started: then the fault is in the
// connection.
func (g *gate) unanswered(c *Call, now time.Time) {
	g.tried = now
	if g.heard.Before(c.Deadline.from) {
		if !g.hushed() {
			g.quiet = g.quietSince(c)
		}
		g.silent++
	}
}

// hushed reports whether nothing came back from the node since the last answer.
func (g *gate) hushed() bool { return g.silent > 0 || g.cut }
