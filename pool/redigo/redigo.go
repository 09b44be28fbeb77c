// Package redigo lets the lock reach a Redis master through redigo
// (github.com/gomodule/redigo).
//
//	connections := &redis.Pool{
//		DialContext: func(ctx context.Context) (redis.Conn, error) {
//			return redis.DialContext(ctx, "tcp", "redis-1:6379", redis.DialConnectTimeout(time.Second))
//		},
//		MaxIdle: 16,
//	}
//	node := redigo.New(connections, redigo.WithName("redis-1:6379"))
//
// [New] accepts anything that hands out connections with a context (see [Source]). The
// source is not changed. You close it, after the Locker.
//
// # Differences from redigo's Do
//
// redigo's Do takes no deadline. Without DialReadTimeout it waits for ever for a frozen
// server. Here the deadline of the context bounds every command, in place of
// DialReadTimeout. If the context is cancelled before its deadline, a command of up to
// 4 KiB that was sent goes on until the deadline. A larger one ends at once, and its
// connection is closed. A call without a deadline ends by the connection's own
// timeouts, or when its context is cancelled.
//
// # Options that matter
//
// DialContext. Give redis.Pool a DialContext, not a Dial. A Dial cannot be interrupted:
// against a frozen server its AUTH or SELECT waits for ever, unless DialReadTimeout is set.
//
// TestOnBorrow. Leave it out: its commands cannot be interrupted either. That has a
// price: each idle connection that a restart of the server broke costs one failed call.
//
// MaxActive and Wait. If MaxActive is set, a call may find no free connection. With Wait
// it waits for one until its context ends. Without Wait it fails at once.
//
// MaxIdle should be at least the number of locks that are acquired at the same moment.
// The default of redigo is 0: then every command dials.
//
// # Subscriptions
//
// While a process waits for a lock it has one more connection to each node, to learn of
// releases. The connection is one of the source's. It counts for MaxActive, and ends soon
// after the last wait of the process. So let MaxActive allow one connection more. With a
// MaxActive of 1 there is no subscription: waiting takes longer, and nothing else
// changes.
//
// If you write a [Source] with a limit, let it allow one connection more, too.
// DialReadTimeout does not end a subscription. A connection can subscribe only if it has
// both ReceiveContext and ReceiveWithTimeout.
package redigo

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

// Source hands out connections to one Redis master. *[redis.Pool] is one. Each
// connection is used for one command and closed, so that a pool gets it back.
type Source interface {
	GetContext(ctx context.Context) (redis.Conn, error)
}

var _ Source = (*redis.Pool)(nil)

// Pool is one Redis master behind a redigo connection pool. It is safe for
// concurrent use if its source is. Make it with [New].
type Pool struct {
	source  Source
	name    string
	opening opener

	emptying atomic.Bool // idle connections are being closed
	starved  time.Time   // when a command last found no free connection; see loans
}

var (
	_ pool.Pool   = (*Pool)(nil)
	_ pool.Backed = (*Pool)(nil)
)

// Option is an option of [New].
type Option func(*Pool)

// WithName sets the name that [Pool.String] returns, and so the node's name in errors and
// logs. The address is a good name.
func WithName(name string) Option {
	return func(p *Pool) { p.name = name }
}

// unnamed counts the pools of this process that were made without a name.
var unnamed atomic.Int64

// New returns the master behind source. It sends nothing, and panics if source is nil.
//
// A connection may take five seconds to open, or less if the source's dial function has
// shorter timeouts. It may take longer than the deadline of its command: DialContext gets
// a context with the caller's values and another deadline. A connection that is open too
// late for its command serves the next one. Until then it is idle in the redis.Pool. If
// the redis.Pool keeps no idle connections (MaxIdle 0), the connection is kept outside of
// it for two seconds.
//
// A connection on which the server said that it is no longer a master is closed, and so are
// the idle ones of the redis.Pool. That needs connections with ReceiveContext or
// ReceiveWithTimeout, such as those of redis.Dial.
func New(source Source, opts ...Option) *Pool {
	if p, ok := source.(*redis.Pool); source == nil || ok && p == nil {
		panic("redigo: New(nil): no source")
	}
	p := &Pool{source: source}
	p.opening.pool = p
	for _, opt := range opts {
		opt(p)
	}
	if p.name == "" {
		p.name = "redigo#" + strconv.FormatInt(unnamed.Add(1), 10)
	}
	return p
}

// String returns the name given by [WithName]. A redigo pool does not know the address that
// it dials. Without a name this is "redigo#1", "redigo#2" and so on, in the order of the
// calls of [New] and [NewPipelined] in this process.
func (p *Pool) String() string { return p.name }

var errEmpty = errors.New("redigo: a command starts with its name, a string")

// Backing implements [pool.Backed]: it returns the source, or nil if sources of its type
// cannot be compared.
func (p *Pool) Backing() any {
	if !reflect.ValueOf(p.source).Comparable() {
		return nil
	}
	return p.source
}

// named reports whether args are a command. With an empty name redigo would wait for a
// reply without sending a command.
func named(args []any) bool {
	if len(args) == 0 {
		return false
	}
	name, ok := args[0].(string)
	return ok && name != ""
}

// Do implements [pool.Pool].
func (p *Pool) Do(ctx context.Context, args ...any) (any, error) {
	if !named(args) {
		return nil, unsent(errEmpty)
	}
	if err := ctx.Err(); err != nil {
		return nil, unsent(err)
	}
	conn, err := p.connect(ctx)
	if err != nil {
		if errors.Is(err, pool.ErrNoConn) {
			p.starve()
		}
		return nil, unsent(err)
	}
	// The connection may have arrived after the end of ctx. A command sent now would have no
	// caller, and the next call can use the connection.
	left, err := remaining(ctx)
	if err != nil {
		p.opening.give(conn)
		return nil, unsent(err)
	}
	// Close cannot block. It reads outstanding replies, but send leaves none: the command was
	// answered, or its connection is closed.
	defer conn.Close()
	if err := settle(conn, left); err != nil {
		return nil, unsent(failed(ctx, err))
	}
	v, err := send(ctx, left, conn, args[0].(string), args[1:])
	if err != nil {
		err = failed(ctx, err)
		if pool.Demoted(err) {
			p.demoted(conn)
		}
		return nil, err
	}
	return reply(v)
}
