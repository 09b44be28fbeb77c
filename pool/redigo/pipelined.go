package redigo

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/internal/pipeline"
	"github.com/quorumlock/quorumlock/pool"
)

// Pipelined is one Redis master behind one connection that all calls share. No call waits
// for the reply to an earlier one, and calls made at the same moment travel together. It is
// safe for concurrent use. Make it with [NewPipelined].
type Pipelined struct {
	plain *Pool
	pipe  *pipeline.Pipe
}

var (
	_ pool.Pool       = (*Pipelined)(nil)
	_ pool.Backed     = (*Pipelined)(nil)
	_ pool.Submitter  = (*Pipelined)(nil)
	_ pool.Subscriber = (*Pipelined)(nil)
)

// NewPipelined returns the master that dial connects to, like [New]. It is for services that
// take many locks, or need the lowest cost per lock. It panics if dial is nil.
//
//	node := redigo.NewPipelined(func(ctx context.Context) (redis.Conn, error) {
//		return redis.DialContext(ctx, "tcp", "redis-1:6379", redis.DialConnectTimeout(time.Second))
//	}, redigo.WithName("redis-1:6379"))
//	defer node.Close()
//
// dial opens a connection, as a function for the DialContext of a redis.Pool does. It
// must not return connections that a redis.Pool hands out (Get, GetContext): a pool
// uses a connection when it closes it, while one goroutine sends here and another one
// receives.
//
// dial should return when its context ends. redis.DialContext does that, except for the
// handshake of TLS, which has ten seconds. redis.Dial does not: while it greets a
// frozen server, all calls fail.
//
// If dial returns a type of its own around a redigo connection, the Send of that type
// must leave the last part of a command to Flush. A reply that arrives before Send has
// returned ends the connection.
//
// The first call opens a connection, which is kept until it breaks. When a call is not
// answered by its deadline, the next calls get a new connection. The old one is kept for
// late replies, for two seconds, and then closed. A call that still waits for a reply on
// it fails then, even if its deadline is later. DialWriteTimeout ends a connection,
// DialReadTimeout does not.
//
// Subscriptions have a connection of their own, made by dial as well. Close the Pipelined
// after the Locker.
func NewPipelined(dial func(ctx context.Context) (redis.Conn, error), opts ...Option) *Pipelined {
	if dial == nil {
		panic("redigo: NewPipelined(nil): no dial")
	}
	p := &Pipelined{plain: New(dialed(dial), opts...)}
	p.pipe = pipeline.New(p.open)
	return p
}

// dialed is a source without a pool.
type dialed func(ctx context.Context) (redis.Conn, error)

func (d dialed) GetContext(ctx context.Context) (redis.Conn, error) { return d(ctx) }

// String returns the name given by [WithName], as [Pool.String] does.
func (p *Pipelined) String() string { return p.plain.String() }

// Backing implements [pool.Backed]: it returns nil, since functions cannot be compared.
func (p *Pipelined) Backing() any { return nil }

// Submit implements [pool.Submitter].
func (p *Pipelined) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	if !named(args) {
		go r.Receive(nil, unsent(errEmpty))
		return
	}
	p.pipe.Submit(ctx, r, args...)
}

// Do implements [pool.Pool].
func (p *Pipelined) Do(ctx context.Context, args ...any) (any, error) {
	if !named(args) {
		return nil, unsent(errEmpty)
	}
	return p.pipe.Do(ctx, args...)
}

// Subscribe implements [pool.Subscriber], as [Pool.Subscribe] does.
func (p *Pipelined) Subscribe(ctx context.Context) (pool.Subscription, error) {
	return p.plain.Subscribe(ctx)
}

// Close ends the connection, waits for its goroutines, and returns nil. Outstanding
// calls fail, and so do later ones. A dial that does not return when its context ends
// is left behind after a second. Close may be called again.
func (p *Pipelined) Close() error { return p.pipe.Close() }

var errPooled = errors.New("redigo: NewPipelined needs a function that dials, such as the DialContext of a redis.Pool, not the pool's own connections")

func (p *Pipelined) open(ctx context.Context) (pipeline.Conn, error) {
	conn, err := p.plain.source.GetContext(ctx)
	if err != nil {
		return nil, failed(ctx, err)
	}
	if fmt.Sprintf("%T", conn) == pooled {
		conn.Close()
		return nil, errPooled
	}
	err = conn.Err()
	if err == nil {
		err = settleUntil(ctx, conn)
	}
	if err != nil {
		conn.Close()
		return nil, failed(ctx, err)
	}
	return wire{conn}, nil
}

// pooled is the type of a pool's connections, which redigo does not export.
const pooled = "*redis.activeConn"

// wire is a connection on which commands and replies overlap. redigo allows one goroutine to
// send and one to receive. Close only closes the socket, and redigo calls it in the same way
// for its own timeouts, so a third goroutine may call it.
type wire struct{ redis.Conn }

// Send implements pipeline.Conn.
func (w wire) Send(args []any) error { return w.Conn.Send(args[0].(string), args[1:]...) }

// Receive implements pipeline.Conn. It has no timeout, since no reply comes while no command
// is sent.
func (w wire) Receive() (any, error) {
	v, err := redis.ReceiveWithTimeout(w.Conn, 0)
	if err == errNoTimeouts {
		v, err = w.Conn.Receive()
	}
	if refusal, ok := err.(redis.Error); ok {
		return nil, pool.Error(refusal)
	}
	if err != nil {
		return nil, err
	}
	return reply(v)
}
