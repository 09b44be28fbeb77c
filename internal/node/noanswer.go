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
	before error // what the node was heard to fail with last, or nil
}

// before is what the connections of c, or dials of others, met. n.mu is held.
func (n *Node) before(c *Call) error {
	if c.connectionErr != nil {
		return *c.connectionErr
	}
	return n.dialErr
}

// explain returns err, or what the client says of a call that it gave up itself, with what
// is known besides. n.mu is held.
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
	case c.state == sent || c.lost:
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

// Is and As let what came before be seen, as Unwrap would. But that is what befell
// another command, or another send: that one was not sent, or refused. Of this one
// nothing is known, and an error that says otherwise would leave a key.
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

// troubled notes why a command could not be sent, if its error says so: a dial may end
// long after the deadlines of all who waited for it. It is known until the node answers.
// n.mu is held.
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

// saysWhy reports whether an error tells more than that there was no time.
func saysWhy(err error) bool {
	return strings.Trim(noTime.Replace(err.Error()), ": \n") != ""
}

var noTime = strings.NewReplacer(pool.ErrNotSent.Error(), "", context.DeadlineExceeded.Error(), "", context.Canceled.Error(), "")
