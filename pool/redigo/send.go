package redigo

import (
	"context"
	"slices"
	"time"

	"github.com/gomodule/redigo/redis"
)

// small is the largest size of a command whose write cannot block. It is the size of
// redigo's write buffer, so that the command is sent by a single write.
//
// That write does not block even if the server is frozen or never reads. The connection is
// new or comes from a pool, and a pool only has connections whose every command was
// answered. So the server has read everything that was written to this socket, and its send
// buffer is empty. Four kilobytes fit into the smallest send buffer of any system (Linux
// starts at 16). A net.Pipe has no buffer, so a connection must not be one.
const small = 4096

// send sends one command and waits for its reply within ctx. When it returns an
// error that is not the server's, conn is closed, and the late reply with it.
//
// A small command with a deadline, as a lock sends it, needs no goroutine: the deadline
// bounds the read, and the write needs no bound. All other commands use DoContext, which
// waits in a goroutine of its own and closes the socket when ctx ends, even during a write.
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
		// The goroutine may still read the arguments after this call has returned. The slice
		// belongs to the caller again by then.
		v, err := redis.DoContext(conn, ctx, name, slices.Clone(args)...)
		if err != errNoContexts {
			return v, err
		}
	}
	// Only the connection's own timeouts end this call: ctx has no end, or the source's
	// connections cannot be interrupted.
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

// redigo does not export these two errors. A connection that returns one of them has sent
// nothing, so another method may be tried. They are taken from a connection that supports
// neither method.
var (
	_, errNoTimeouts = redis.DoWithTimeout(basic{}, time.Second, "PING")
	_, errNoContexts = redis.DoContext(basic{}, context.Background(), "PING")
)

// basic is a connection with the methods that every connection has. None of
// them is ever called.
type basic struct{ redis.Conn }
