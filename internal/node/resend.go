package node

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/internal/random"
	"github.com/quorumlock/quorumlock/pool"
)

// A connection that was idle may have been closed by the server (its timeout, a restart) or by
// a balancer. Most clients notice with the next command. Adapters never repeat a command, so it
// is repeated here, within its deadline: on another connection it is answered a moment later.
//
// Every verb may be repeated, since its effect is tied to a value that no other client has. An
// acquire that finds its value was granted the first time. An extension prolongs the key once
// more. A release that finds nothing is reported as such, with Answer.SentBefore: the release before
// it may have deleted the key.
//
// The outcome of the earlier sends is unknown all the same: they may take effect late, as a
// call may that was given up. That is Answer.SentBefore, too. See nodeState.learn in package fanout
// for what follows from it.
//
// An idle connection that ended is no silence of the node. Otherwise a node that is asked less
// often than a balancer allows would never count as answering reliably. Only a call that is not
// answered in the end makes a silence, from when the call began.

const (
	// atOnce is how many connections in a row may end before repeats are paced, on the node and
	// for one call: a client's pool may be full of connections that ended.
	atOnce = 64
	// maxRepeats bounds how often one call is sent again. A server or a proxy that closes the
	// connection at one command, and answers others, gets no more.
	maxRepeats = atOnce + 48

	// The same for connections that ended before the command was sent. A client may hold idle
	// connections that have had no handshake yet. But a server without room closes connections,
	// too.
	unsentAtOnce     = 8
	maxUnsentRepeats = 16

	// perTick is how many calls are sent again at a time while no connection lasts.
	perTick = 8

	firstPause = time.Millisecond // before the first resend; it doubles
	maxPause   = 10 * time.Millisecond
)

// connectionEnded reports whether a call failed because an existing connection ended. Then
// another connection may be better.
//
// A timeout is no such end: time has passed, and the next attempt would take as long. (A TCP
// connection that the kernel gave up is one: that is ETIMEDOUT, not a deadline.) An error reply
// is an answer, a proxy's too: the proxy has waited for its server, and says so. A dial that
// failed is the client's to repeat.
func connectionEnded(err error) bool {
	if err == nil || errors.As(err, new(pool.Error)) {
		return false
	}
	for _, other := range []error{pool.ErrClosed, context.DeadlineExceeded, context.Canceled, os.ErrDeadlineExceeded} {
		if errors.Is(err, other) {
			return false
		}
	}
	return !errors.Is(err, pool.ErrNotSent) || endedUnsent(err)
}

// endedUnsent reports whether a connection ended before the command was sent on it.
func endedUnsent(err error) bool {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return false
	}
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// resends are the calls that are to be sent again, when the pause is over or the node answers
// another call. Until then neither a worker nor the client has them. It is protected by
// Node.mu.
type resends struct {
	endedInARow int     // connections that ended since the last answer
	paused      []*Call // oldest first
	pause       time.Duration
	timer       *time.Timer
	armed       bool
}

// resend notes that the connection ended on which a step of c was sent. It chooses what comes
// next: to send it again at once, or after a pause; then the caller must not touch it any more.
// If neither is true the call has to end with err.
func (n *Node) resend(c *Call, s step, err error) (now, later bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.resends.endedInARow++
	soon, most := uint8(atOnce), uint8(maxRepeats)
	if unsent := errors.Is(err, pool.ErrNotSent); unsent {
		soon, most = unsentAtOnce, maxUnsentRepeats
	} else if c.state == sent && s.request == c.Request { // no probe, which changes nothing
		c.sentBefore = true
	}
	if c.state != sent || c.repeats >= most || !time.Now().Before(c.Deadline.at) {
		return false, false
	}
	c.repeats++
	c.connectionErr = &err
	if n.resends.endedInARow <= atOnce && c.repeats <= soon {
		return true, false
	}
	c.state = paused
	n.resends.paused = append(n.resends.paused, c)
	if !n.resends.armed {
		n.armResends(n.resends.next())
	}
	return false, true
}

// next is the next pause.
func (r *resends) next() time.Duration {
	r.pause = min(max(2*r.pause, firstPause), maxPause)
	return r.pause
}

// armResends sets the timer. n.mu is held.
func (n *Node) armResends(in time.Duration) {
	r := &n.resends
	in = max(in, 1) + random.Apart(n, "resends") // not 0 or less, see setTimer in package fanout
	r.armed = true
	if r.timer == nil {
		r.timer = time.AfterFunc(in, n.sendAgain)
	} else {
		r.timer.Reset(in)
	}
}

// connectionLasted notes that the node answered: paused calls need not wait. n.mu is held.
func (n *Node) connectionLasted() {
	r := &n.resends
	if r.endedInARow == 0 {
		return
	}
	r.endedInARow, r.pause = 0, 0
	if len(r.paused) > 0 {
		n.armResends(0)
	}
}

// sendAgain sends some of the paused calls: a few to find out whether connections last by now,
// many if they do. It runs on the timer.
func (n *Node) sendAgain() {
	n.mu.Lock()
	r := &n.resends
	r.armed = false
	some := perTick
	if r.endedInARow == 0 {
		some = atOnce
	}
	some = min(some, len(r.paused))
	var submit []*Call
	for _, c := range r.paused[:some] {
		if n.dispatch(c, true) {
			submit = append(submit, c)
		}
	}
	r.paused = slices.Delete(r.paused, 0, some)
	if len(r.paused) > 0 {
		n.armResends(r.next())
	}
	n.mu.Unlock()
	for _, c := range submit {
		n.submit(c)
	}
}
