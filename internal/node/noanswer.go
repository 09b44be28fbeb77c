package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
)

// noAnswer is the error of a call that was given up at its deadline.
type noAnswer struct {
	before error // the last error that said more, or nil
}

// before is the error that ended the last connection of c, or the last dial error of the node.
// n.mu is held.
func (n *Node) before(c *Call) error {
	if c.connectionErr != nil {
		return *c.connectionErr
	}
	return n.dialErr
}

// explain returns err, or, if the client gave the call up itself, an error with what is known
// besides. n.mu is held.
func (n *Node) explain(c *Call, err error) error {
	before := n.before(c)
	switch {
	case before == nil || !errors.Is(err, context.DeadlineExceeded) || saysWhy(err):
		return err
	case errors.Is(err, pool.ErrNotSent):
		return fmt.Errorf("%w: %w", pool.ErrNotSent, noAnswer{before})
	}
	return noAnswer{before}
}

// noAnswer returns the error of a call that is given up now. n.mu is held.
func (n *Node) noAnswer(c *Call) error {
	before := n.before(c)
	switch {
	case c.state == sent || c.sentBefore:
		return noAnswer{before}
	case c.state == queued:
		return fmt.Errorf("%w: %w before a worker was free", pool.ErrNotSent, noAnswer{before})
	}
	return fmt.Errorf("%w: %w", pool.ErrNotSent, noAnswer{before})
}

func (e noAnswer) Error() string {
	if e.before == nil {
		return "no answer within the node timeout"
	}
	return fmt.Sprintf("no answer within the node timeout; before that: %v", e.before)
}

func (noAnswer) Timeout() bool { return true }

// Is and As show the error before, as Unwrap would, with exceptions. That error is of another
// command, or another send: that one was not sent, or refused. The outcome of this call is
// unknown, and an error that says otherwise would leave a key.
func (e noAnswer) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded:
		return true
	case pool.ErrNotSent, pool.ErrNoConn, pool.ErrClosed, ErrBusy:
		return false
	}
	return e.before != nil && errors.Is(e.before, target)
}

// As implements what [errors.As] asks for.
func (e noAnswer) As(target any) bool {
	if _, refusal := target.(*pool.Error); refusal {
		return false
	}
	return e.before != nil && errors.As(e.before, target)
}

// noteDialErr notes why a command could not be sent, if its error says so: a dial may end long
// after the deadlines of all calls that waited for it. It is kept until the node answers. n.mu
// is held.
func (n *Node) noteDialErr(a *Answer) {
	if a.Err == nil {
		n.dialErr = nil
		return
	}
	switch unsent := errors.Is(a.Err, pool.ErrNotSent); {
	case !unsent && a.Answered():
		n.dialErr = nil
	case unsent && !errors.As(a.Err, new(noAnswer)) && saysWhy(a.Err):
		n.dialErr = a.Err
	}
}

// saysWhy reports whether an error says more than that time ran out.
func saysWhy(err error) bool {
	return strings.Trim(noTime.Replace(err.Error()), ": \n") != ""
}

var noTime = strings.NewReplacer(pool.ErrNotSent.Error(), "", context.DeadlineExceeded.Error(), "", context.Canceled.Error(), "")
