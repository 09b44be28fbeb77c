package redigo

import (
	"context"
	"time"

	"github.com/gomodule/redigo/redis"
)

// demoted closes a connection whose server is no master any more, and those that are
// idle: they are as old, and each would cost a call. A redis.Pool keeps a connection
// that was answered, whatever the answer.
func (p *Pool) demoted(conn redis.Conn) {
	interrupt(conn)
	connections, ok := p.source.(*redis.Pool)
	switch {
	case !ok || !p.emptying.CompareAndSwap(false, true):
	case connections.TestOnBorrow != nil || connections.TestOnBorrowContext != nil:
		go p.empty(connections) // a test asks the server, and takes its time
	default:
		p.empty(connections)
	}
}

// empty closes the connections that are idle now.
func (p *Pool) empty(connections *redis.Pool) {
	defer p.emptying.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	for n := connections.IdleCount(); n > 0 && connections.IdleCount() > 0; n-- { // of none it would open one
		old, err := connections.GetContext(ctx)
		if err != nil {
			return
		}
		interrupt(old)
		old.Close()
	}
}

// interrupt makes a connection fail, and a Receive on it return, without closing it: a
// connection that a pool handed out must not be closed while somebody receives. To
// receive with a deadline that has passed closes the socket and does nothing else. Its
// Close then drops it.
func interrupt(conn redis.Conn) {
	passed, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	if _, err := redis.ReceiveContext(conn, passed); err == errNoContexts {
		_, _ = redis.ReceiveWithTimeout(conn, time.Nanosecond)
	}
}
