package redigo

import (
	"context"
	"time"

	"github.com/gomodule/redigo/redis"
)

// demoted closes a connection whose server is no longer a master, and the idle connections:
// they lead to the same server, and each would cost a call. A redis.Pool keeps a connection
// after any reply.
func (p *Pool) demoted(conn redis.Conn) {
	interrupt(conn)
	connections, ok := p.source.(*redis.Pool)
	switch {
	case !ok || !p.emptying.CompareAndSwap(false, true):
	case connections.TestOnBorrow != nil || connections.TestOnBorrowContext != nil:
		go p.empty(connections) // a test asks the server, which takes time; ends with empty
	default:
		p.empty(connections)
	}
}

// empty closes the connections that are idle now.
func (p *Pool) empty(connections *redis.Pool) {
	defer p.emptying.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	for n := connections.IdleCount(); n > 0 && connections.IdleCount() > 0; n-- { // with none idle, GetContext would open one
		old, err := connections.GetContext(ctx)
		if err != nil {
			return
		}
		interrupt(old)
		old.Close()
	}
}

// interrupt makes a connection fail, and a Receive on it return, without calling its Close:
// a connection of a pool must not be closed during a Receive. A Receive with a deadline that
// has passed closes the socket and does nothing else. The Close of the connection then drops
// it.
func interrupt(conn redis.Conn) {
	passed, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	if _, err := redis.ReceiveContext(conn, passed); err == errNoContexts {
		_, _ = redis.ReceiveWithTimeout(conn, time.Nanosecond)
	}
}
