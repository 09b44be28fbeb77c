package redigo

import (
	"context"
	"slices"
	"time"

	"github.com/gomodule/redigo/redis"
)

// small is the size up to which a command counts as one whose write cannot
// block: redigo's own write buffer, so that it leaves in a single write.
//
// Why that write does not block, even if the peer is frozen or never reads: the
// connection is new or comes from a pool, and a pool has only connections whose
// every command was answered. So the server has read all that was ever written
// to this socket, its send buffer is empty, and four kilobytes fit into the
// smallest that any system gives (Linux starts at 16). A connection that is not
// a socket but a net.Pipe has no buffer; use one that has.
const small = 4096

// send sends one command and waits for its reply within ctx. When it returns an
// error that is not the server's, conn is closed, and the late reply with it.
//
// A small command with a deadline, which is what a lock sends, takes the road
// that needs no goroutine: the deadline bounds the read, and the write needs no
// bound. All others take DoContext, which waits in a goroutine of its own and
// closes the socket when ctx ends, in the middle of a write if need be.
//
// left is what remains until the deadline of ctx, 0 if it has none.
func send(ctx context.Context, left time.Duration, conn redis.Conn, name string, args []any) (any, error) {
	if left > 0 && size(name, args) <= small {
		v, err := redis.DoWithTimeout(conn, left, name, args...)
		if err != errNoTimeouts {
			return v, err
		}
	}
	if ctx.Done() != nil {
		// The goroutine may still be reading the arguments when the call is over,
		// and the caller's slice is no longer ours by then.
		v, err := redis.DoContext(conn, ctx, name, slices.Clone(args)...)
		if err != errNoContexts {
			return v, err
		}
	}
	// Nothing but the connection's own timeouts ends this call: either that is
	// what ctx asks for, or the source's connections can do no better.
	return conn.Do(name, args...)
}

// size returns how many bytes a command takes on the wire, or a little more.
func size(name string, args []any) int {
	const framing = 32 // "$4096\r\n...\r\n", or a number of 20 digits with it
	n := framing + len(name)
	for _, arg := range args {
		n += framing
		if s, ok := arg.(string); ok {
			n += len(s)
		}
	}
	return n
}

// redigo keeps these two errors to itself. A connection that returns one of
// them has sent nothing, so there is another way to try. They are learned by
// asking a connection that can do neither.
var (
	_, errNoTimeouts = redis.DoWithTimeout(basic{}, time.Second, "PING")
	_, errNoContexts = redis.DoContext(basic{}, context.Background(), "PING")
)

// basic is a connection with the methods that every connection has. None of
// them is ever called.
type basic struct{ redis.Conn }
