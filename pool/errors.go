package pool

import (
	"errors"
	"strings"
)

// Error is an error reply of the server, such as
// "NOSCRIPT No matching script. Please use EVAL.".
type Error string

// Error returns the server's text.
func (e Error) Error() string { return string(e) }

// ErrNotSent is matched by errors of [Pool.Do] after which the command
// certainly did not reach the server: the connection was refused, the client's
// pool was exhausted, the context had ended before. The lock owes nothing to
// such a node, where otherwise it would have to go on releasing a key that may
// never have been set. An adapter that cannot tell does not use it.
//
// An error may match both ErrNotSent and [Error]: the server refused the
// connection (AUTH, SELECT) and not the command.
var ErrNotSent = errors.New("command not sent")

// ErrNoConn is matched by errors that match [ErrNotSent], too: all connections that the
// client may have were in use. It is the client that is too small, not the server that
// fails.
var ErrNoConn = errors.New("no free connection in the client's pool")

// ErrClosed is matched by errors of [Pool.Do] if the client was closed for good: no
// command will get through any more. If the command was not sent, the error matches
// [ErrNotSent], too. The lock then gives up at once what it would otherwise repeat.
var ErrClosed = errors.New("the client is closed")

// Demoted reports whether err is an error reply which says that the server is no master
// any more, or none that may be written to: READONLY or MASTERDOWN, anywhere in the
// text, since scripts and proxies put words of their own first. Another connection may
// reach the server that is the master now (Sentinel, a balancer, a name that moved), so
// an adapter closes this one.
func Demoted(err error) bool {
	e, ok := errors.AsType[Error](err)
	return ok && (strings.Contains(string(e), "READONLY") || strings.Contains(string(e), "MASTERDOWN"))
}
