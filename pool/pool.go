// Package pool is the seam between the lock and a Redis client library.
//
// The lock needs one method of a client, so an adapter is short and everything
// that is known about Redis (command forms, scripts, server differences)
// stands once, on the other side of the seam. Adapters for go-redis and redigo
// are in the sub-packages goredis and redigo; package pooltest states every
// duty of an adapter as a named test.
package pool

import "context"

// Pool is one independent Redis master, reached through a client library.
// It is safe for concurrent use.
type Pool interface {
	// Do sends one command and returns its reply.
	//
	// args are strings and int64s, the command's name first. The slice is
	// shared between calls: it must not be changed, and not be kept after Do
	// returned.
	//
	// The reply is one of
	//
	//	string  a simple string, a bulk string, a RESP3 double or big number
	//	int64   an integer, or a RESP3 boolean as 0 or 1
	//	nil     a null of any kind
	//	[]any   an array or set of these; a RESP3 map flat: key, value, ...,
	//	        the pairs in any order
	//
	// An error reply of the server is an error that [errors.As] finds as
	// [Error], with the server's text unchanged. Inside an array it is an
	// element, of type Error.
	//
	// The deadline of ctx is handed to the client in the best way that client
	// offers. A call that ended by ctx returns an error that matches ctx.Err()
	// and its late reply never reaches another call. A client that cannot be
	// interrupted may return later, bounded by its own timeouts: the lock never
	// waits for it. A call that hangs does not hold up those that are made after its
	// deadline: they use another connection.
	//
	// Do sends the command at most once: it does not repeat a command that may
	// have reached the server. An error that matches [ErrNotSent] promises that
	// it did not reach the server; after any other error except [Error] the
	// command may still take effect, now or later. It says what it met there: the
	// refused dial, the unknown host, the certificate; and it matches [ErrNoConn] or
	// [ErrClosed] where that is why.
	//
	// A connection that a command needs is opened within the client's own timeout for
	// that, not within the deadline of ctx. If it comes too late for the command, it
	// serves the next one. A connection on which the server said that it is no master
	// any more (see [Demoted]) is closed.
	Do(ctx context.Context, args ...any) (any, error)

	// String names the node in errors and logs, without credentials, for
	// example "redis-1:6379" or "redis-1:6379/2".
	String() string
}
