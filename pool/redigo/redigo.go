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
// Anything that hands out connections with a context will do (see [Source]).
// It is not changed, and stays yours to close.
//
// # What it does that a plain Do does not
//
// redigo's Do takes no deadline, and without DialReadTimeout it waits for ever
// for a server that is frozen. Here the deadline of the context bounds every
// command, in place of DialReadTimeout. A context that is cancelled before its
// deadline does not interrupt a small command that is on its way. A context
// without a deadline leaves its call to the connection's own timeouts and to
// its cancellation.
//
// # Options that matter
//
// Give redis.Pool a DialContext, not a Dial: what a Dial does cannot be
// interrupted, and against a frozen server its AUTH or SELECT waits for ever
// unless DialReadTimeout is set. The same holds for TestOnBorrow. Without one,
// each idle connection that a restart of the server broke costs one failed
// call. With MaxActive set, Wait decides whether a call beyond it waits (until
// its context ends) or fails at once. MaxIdle should be at least the number of
// locks that are acquired at the same moment: redigo's default of 0 dials for
// every command.
//
// # Subscriptions
//
// A process that waits for a lock listens for its release, on one connection for
// each node, which is the source's and counts for MaxActive until nobody waits any
// more. So a MaxActive has to leave one to spare. With a MaxActive of 1 there is no
// subscription: waiting takes longer then, and nothing else changes. A Source of
// your own that has a limit is not known to have one; give it room for one more.
// DialReadTimeout does not end a subscription. Connections without ReceiveContext
// or ReceiveWithTimeout have none either.
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

// WithName sets what [Pool.String] returns, and with it how this node is called
// in errors and logs. The address is a good name.
func WithName(name string) Option {
	return func(p *Pool) { p.name = name }
}

// unnamed counts the pools of this process that were made without a name.
var unnamed atomic.Int64

// New returns the master behind source. It sends nothing, and panics if source
// is nil.
//
// A connection is opened within the timeouts of the source's own dial function, and
// within five seconds, whatever the deadline of the command that needs it. If it comes
// too late, it serves the next command: it goes back to the redis.Pool, or is kept for
// two seconds if that keeps none (MaxIdle 0). So DialContext gets a context with the
// caller's values and a deadline of its own.
//
// A connection on which the server said that it is no master any more is closed, and so
// are those that are idle in the redis.Pool. That needs connections with ReceiveContext
// or ReceiveWithTimeout, as those of redis.Dial are.
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

// String returns the name given by [WithName]. A redigo pool does not know
// where it dials to; without a name this is "redigo#1", "redigo#2" and so on,
// in the order in which a process made them.
func (p *Pool) String() string { return p.name }

var errEmpty = errors.New("redigo: a command starts with its name, a string")

// Backing implements [pool.Backed]: it returns the source, or nil if that is of a kind
// that cannot be compared.
func (p *Pool) Backing() any {
	if !reflect.ValueOf(p.source).Comparable() {
		return nil
	}
	return p.source
}

// named reports whether args are a command. An empty name would make redigo wait for
// replies that nobody asked for.
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
	// A connection can outlast ctx. A command sent now would have no one to wait for
	// it, and the connection is as good for the next call.
	left, err := remaining(ctx)
	if err != nil {
		p.opening.give(conn)
		return nil, unsent(err)
	}
	// Close cannot block. It reads what replies a connection still owes, but send
	// leaves none to come: a command was answered, or its connection is closed.
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
