package goredis

import (
	"context"

	"github.com/quorumlock/quorumlock/internal/pipeline"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
)

// Pipelined is one Redis master behind a connection that all calls share: none
// waits for the reply to the one before, and those that are made at the same
// moment travel together. It is safe for concurrent use. Make it with
// [NewPipelined].
type Pipelined struct {
	plain  *Pool
	client *redis.Client // the user's
	pipe   *pipeline.Pipe
}

var (
	_ pool.Submitter  = (*Pipelined)(nil)
	_ pool.Subscriber = (*Pipelined)(nil)
	_ pool.Backed     = (*Pipelined)(nil)
)

// NewPipelined returns the master behind client, like [New]. It is for services that
// take many locks, or want the last bit of speed for each.
//
// The first call opens a connection, as client would: through its dial hooks, its Dialer,
// TLS and Sentinel, with its credentials, DB, ClientName and OnConnect. Commands and
// replies are then written and read here. So the connection does not count for PoolSize.
// Hooks around commands, the Limiter, and the options about retries, about the client's
// pool and about caching have no effect on it.
//
// Opening takes up to the client's DialTimeout for the dial, and five seconds for
// credentials and greeting. A call does not wait longer than its deadline. A connection
// that comes too late for a call serves the next one.
//
// A credentials provider is asked for each new connection. When a
// StreamingCredentialsProvider has new credentials, the open connection authenticates
// again.
//
// When a call is not answered by its deadline, the next calls get a new connection. The
// old one is kept for two seconds, for late replies, and then closed, also under calls
// with a later deadline. A connection is replaced, too, when the server turns out to be a
// replica.
//
// A client of redis.NewFailoverClient closes its connections when Sentinel announces
// another master. The pipelined connection is closed with them. To notice that, one
// connection of the client's pool stays in use for as long as the pipelined one is open,
// so PoolSize must be at least 2. Two commands a second are sent on it (WAIT; without the
// right to it, PING, fifty times a second).
//
// Close the Pipelined when the Locker is closed. The client stays yours, and
// subscriptions are the client's. When you close the client, an open pipelined connection
// remains, unless the client is one of Sentinel; no new one is opened.
//
// NewPipelined panics if client is nil.
//
// go-redis has automatic pipelining of its own. It hands every command to a goroutine,
// and a lock that is alone pays for that. Here its goroutine writes.
func NewPipelined(client *redis.Client, opts ...Option) *Pipelined {
	if client == nil {
		panic("goredis: NewPipelined(nil): no client")
	}
	o := &opener{client: client, options: *client.Options()}
	p := &Pipelined{plain: New(client, opts...), client: client}
	p.pipe = pipeline.New(func(ctx context.Context) (pipeline.Conn, error) {
		w, err := o.open(ctx)
		if err != nil {
			return nil, err // not a nil *wire in the interface
		}
		return w, nil
	})
	p.pipe.DialTimeout = max(o.options.DialTimeout, 0) + greetingTimeout
	o.authenticate = p.authenticate
	return p
}

// String returns the name given by [WithName], or the address of the client, as
// [Pool.String] does.
func (p *Pipelined) String() string { return p.plain.String() }

// Backing implements [pool.Backed]: it is the client.
func (p *Pipelined) Backing() any { return p.client }

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
// under way fail, and so do later ones. The connection that a failover client lends is
// given back within half a second.
func (p *Pipelined) Close() error { return p.pipe.Close() }
