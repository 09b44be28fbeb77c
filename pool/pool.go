// Package pool has the interfaces by which the lock uses a Redis client library.
//
// The lock needs one method of a client, [Pool.Do], so an adapter is short. An adapter
// need not know which commands and scripts the lock uses, nor how servers differ: that
// is in the lock, once for all clients. Packages goredis and redigo are adapters for
// those clients. Package pooltest has a named test for every duty of [Pool],
// [Subscriber] and [Submitter]. The exception is [ErrNoConn], which depends on how a client
// bounds its connections.
//
// An adapter may implement more interfaces of this package. [Submitter] makes the lock
// faster, [Subscriber] makes waiting shorter, [Backed] shows that two pools use one
// client, and [Bounded] saves a goroutine per call.
package pool

import "context"

// Pool is one independent Redis master, reached through a client library.
// It is safe for concurrent use.
type Pool interface {
	// Do sends one command and returns its reply.
	//
	// args are strings and int64s, the command's name first. The slice is shared
	// between calls: Do must not change it, and must not keep it after it returned.
	//
	// The reply is one of
	//
	//	string  a simple string, a bulk string, a RESP3 double or big number
	//	int64   an integer, or a RESP3 boolean as 0 or 1
	//	nil     a null of any kind; for example, the reply to a lock that is granted
	//	[]any   an array or set of these; a RESP3 map flat: key, value, ...,
	//	        the pairs in any order
	//
	// An error reply of the server becomes an error that [errors.As] finds as [Error],
	// with the server's text unchanged. Inside an array it is an element of type Error.
	//
	// Do ends at the deadline of ctx, as far as the client can be interrupted. The error
	// of a call that ctx ended matches ctx.Err(). Its late reply never reaches another
	// call. A client that cannot be interrupted may return later, when its own timeouts
	// end the call. The lock does not wait for that. A call that hangs does not delay
	// calls made after its deadline: they use another connection.
	//
	// Do sends the command at most once: it does not repeat a command that may have
	// reached the server. An error that matches [ErrNotSent] promises that the command
	// did not reach the server. An [Error] without ErrNotSent is the server's reply to
	// the command. After any other error the command may still take effect, now or later.
	//
	// The error contains the cause: the refused dial, the unknown host, the certificate.
	// It matches [ErrNoConn] or [ErrClosed] where that is the cause.
	//
	// A connection may take the client's own timeout to open, even if the deadline of ctx
	// is earlier. If it is open too late for its command, a later command uses it. A
	// connection on which the server said that it is no longer a master (see [Demoted])
	// is closed.
	Do(ctx context.Context, args ...any) (any, error)

	// String names the node in errors and logs, without credentials, for
	// example "redis-1:6379" or "redis-1:6379/2".
	String() string
}
