package goredis

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"

	"github.com/quorumlock/quorumlock/internal/pipeline"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Pipelined is one Redis master behind a connection that all calls share: none
// waits for the reply to the one before, and those that are made at the same
// moment travel together. It is safe for concurrent use. Make it with
// [NewPipelined].
type Pipelined struct {
	plain *Pool
	pipe  *pipeline.Pipe
}

var (
	_ pool.Submitter  = (*Pipelined)(nil)
	_ pool.Subscriber = (*Pipelined)(nil)
)

// NewPipelined returns the master behind client, like [New], for services that
// take many locks, or want the last bit of speed for each. It opens a connection
// of its own at the first call, with the options of client: go-redis dials it
// (Dialer, TLS, Sentinel) and greets the server (user and password, DB, OnConnect),
// and what follows is written and read here. So it does not count for PoolSize,
// and hooks around commands and the Limiter do not see it; use New if they must.
//
// go-redis has automatic pipelining of its own. It hands every command to a
// goroutine, and a lock that is alone pays for that; here its goroutine writes.
//
// When a call is not answered by its deadline, the next ones get a new connection; the
// old one is kept for two seconds, for late replies, and then closed, also under calls
// with a later deadline. A connection is also replaced when the server turns out to be
// a replica, so that Sentinel is asked again.
//
// Close it when the Locker is closed. The client stays yours, and subscriptions are
// the client's. It panics if client is nil.
func NewPipelined(client *redis.Client, opts ...Option) *Pipelined {
	if client == nil {
		panic("goredis: NewPipelined(nil): no client")
	}
	plain := New(client, opts...)
	options := *client.Options()
	return &Pipelined{plain, pipeline.New(func(ctx context.Context) (pipeline.Conn, error) {
		w, err := open(ctx, options)
		if err != nil {
			if refusal := redis.Error(nil); errors.As(err, &refusal) {
				return nil, pool.Error(refusal.Error()) // of the greeting
			}
			return nil, err
		}
		return w, nil
	})}
}

// String returns the name given by [WithName], or the address of the client, as
// [Pool.String] does.
func (p *Pipelined) String() string { return p.plain.String() }

// Submit implements [pool.Submitter].
func (p *Pipelined) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	if len(args) == 0 {
		go r.Receive(nil, unsent(errEmpty))
		return
	}
	p.pipe.Submit(ctx, r, args...)
}

// Do implements [pool.Pool].
func (p *Pipelined) Do(ctx context.Context, args ...any) (any, error) {
	if len(args) == 0 {
		return nil, unsent(errEmpty)
	}
	return p.pipe.Do(ctx, args...)
}

// Subscribe implements [pool.Subscriber], as [Pool.Subscribe] does.
func (p *Pipelined) Subscribe(ctx context.Context) (pool.Subscription, error) {
	return p.plain.Subscribe(ctx)
}

// Close ends the connection, waits for its goroutines, and returns nil. Calls that are
// under way fail, and so do later ones.
func (p *Pipelined) Close() error { return p.pipe.Close() }

// open has go-redis dial and greet, and takes the connection over. options are those
// of the user's client.
//
// A client is made for it, which holds this connection and never uses it again: it
// is checked out for good.
func open(ctx context.Context, options redis.Options) (*wire, error) {
	var dialed latest
	stop := context.AfterFunc(ctx, dialed.close) // go-redis heeds deadlines in the greeting, and nothing else
	dial := options.Dialer
	options.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err == nil {
			dialed.set(conn)
		}
		return conn, err
	}
	options.ContextTimeoutEnabled = true // ctx bounds the greeting
	options.MaxRetries, options.DialerRetries = -1, 1
	// Two, for after as many dials that failed it would go on by itself.
	options.PoolSize, options.PipelinePoolSize = 2, -1
	options.MinIdleConns, options.MaxActiveConns = 0, 0
	options.Limiter = nil
	// The server is not asked for notices that nobody here understands.
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.PushNotificationProcessor = nil
	options.ClientSideCacheConfig, options.ClientSideCache = nil, nil

	client := redis.NewClient(&options)
	err := client.Conn().Ping(ctx).Err()
	if err != nil && !deniesPing(err) {
		stop()
		client.Close()
		return nil, err
	}
	if !stop() {
		client.Close()
		return nil, ctx.Err()
	}
	w := newWire(dialed.get(), client)
	if err := w.conn.SetDeadline(noDeadline); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// deniesPing reports whether the server greeted us, and the ACL of the user has no
// PING. It was only asked for so that there is a greeting.
func deniesPing(err error) bool {
	return strings.HasPrefix(err.Error(), "NOPERM ") && strings.Contains(strings.ToLower(err.Error()), "'ping'")
}

// latest is the connection that was dialed last. go-redis dials on a goroutine of
// its own, which may be late.
type latest struct {
	mu     sync.Mutex // protects the rest
	conn   net.Conn
	closed bool // and so is every one to come
}

func (l *latest) set(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	if l.closed {
		conn.Close()
	}
}

// close ends whatever is under way on the connection.
func (l *latest) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		l.conn.Close()
	}
}

func (l *latest) get() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}
