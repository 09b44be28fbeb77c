package goredis

import (
	"context"

	"github.com/quorumlock/quorumlock/internal/pipeline"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
)

// Pipelined is one Redis master behind one connection that all calls share. No call waits
// for the reply to an earlier one, and calls made at the same moment travel together. It is
// safe for concurrent use. Make it with [NewPipelined].
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
// take many locks, or need the lowest cost per lock. It panics if client is nil.
//
// The first call opens a connection as client would: through its dial hooks, its Dialer,
// TLS and Sentinel, with its credentials, DB, ClientName and OnConnect. Package goredis
// then writes the commands and reads the replies itself. So the connection does not count
// for PoolSize. Some things of the client have no effect on it: hooks around commands,
// the Limiter, and the options about retries, about the client's pool and about caching.
//
// Opening a connection may take DialTimeout for the dial, and five seconds for credentials
// and greeting. A call does not wait longer than its deadline. A connection that is open too
// late for a call serves the next one.
//
// A credentials provider is asked for each new connection. When a
// StreamingCredentialsProvider has new credentials, the open connection authenticates
// again.
//
// When a call is not answered by its deadline, the next calls get a new connection. The
// old one is kept for late replies, for two seconds, and then closed. A call that still
// waits for a reply on it fails then, even if its deadline is later. A connection is also
// replaced when the server turns out to be a replica.
//
// A client of redis.NewFailoverClient closes its connections when Sentinel announces
// another master. The pipelined connection is closed with them. To notice that, one
// connection of the client's pool stays in use while the pipelined one is open. So
// PoolSize must be at least 2. Two WAIT commands a second are sent on that connection, or
// fifty PING commands where WAIT is denied.
//
// Close the Pipelined after the Locker. That does not close the client, which also owns
// the subscriptions. After the client is closed no new pipelined connection is opened. An
// open one remains, unless the client is from redis.NewFailoverClient.
//
// go-redis has automatic pipelining of its own, which hands every command to another
// goroutine. That costs time for a single lock. Here the calling goroutine writes.
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

// Backing implements [pool.Backed]: it returns the client that was given to NewPipelined.
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

// Close ends the connection, waits for its goroutines, and returns nil. Outstanding
// calls fail, and so do later ones. A dial that does not return when its context ends
// is left behind after a second. The connection borrowed from the pool of a failover
// client is returned within half a second. Close may be called again.
func (p *Pipelined) Close() error { return p.pipe.Close() }
