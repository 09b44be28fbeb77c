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

// ErrNotSent is matched by errors of [Pool.Do] if the command certainly did not reach the
// server: the connection was refused, the client's pool was exhausted, or the context had
// ended before. The lock then has nothing to release on this node. Without ErrNotSent it
// has to keep releasing a key that may never have been set. An adapter that is not
// certain does not use it.
//
// An error may match both ErrNotSent and [Error]: the server refused the connection
// (AUTH, SELECT), not the command.
var ErrNotSent = errors.New("command not sent")

// ErrNoConn is matched by errors of [Pool.Do] if all connections that the client may have
// were in use. Such errors match [ErrNotSent] as well. The client's pool is too small; the
// server did not fail.
var ErrNoConn = errors.New("no free connection in the client's pool")

// ErrClosed is matched by errors of [Pool.Do] if the client was closed for good: no
// later command can be sent. If this command was not sent, the error matches
// [ErrNotSent] as well. The lock does not retry after ErrClosed. A redlock.QuorumError
// matches it if the node failed for that reason. redlock.ErrClosed is another error,
// about a Locker.
var ErrClosed = errors.New("the client is closed")

// Demoted reports whether err is an error reply that says READONLY or MASTERDOWN: the
// server is no longer a master that accepts writes. These words may be anywhere in the
// text, since scripts and proxies put other words before them. An adapter closes a
// connection with such a reply: another connection may reach the present master (through
// Sentinel, a balancer, or a DNS name that moved).
func Demoted(err error) bool {
	e, ok := errors.AsType[Error](err)
	return ok && (strings.Contains(string(e), "READONLY") || strings.Contains(string(e), "MASTERDOWN"))
}
