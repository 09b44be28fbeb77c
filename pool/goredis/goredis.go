// Package goredis lets the lock reach a Redis master through go-redis
// (github.com/redis/go-redis/v9).
//
//	client := redis.NewClient(&redis.Options{Addr: "redis-1:6379"})
//	node := goredis.New(client)
//
// Any [*redis.Client] will do: with TLS, with an ACL user, over a unix socket, or from
// redis.NewFailoverClient. The client is not changed. Its connections are used, its hooks
// run, and its options are read. You close it, after the Locker.
//
// A client of redis.NewFailoverClient needs a name, see [WithName]. After a failover a
// second holder is possible: the new master may lack the last writes of the old one.
//
// # Differences from client.Do
//
// Deadline. A client with default options ignores the deadline of a context once a
// command was sent, and waits for its ReadTimeout of five seconds. Here a command ends at
// the deadline, or later by at most an eighth of the time that it had. If a context is
// cancelled before its deadline, a command that was sent goes on until the deadline:
// go-redis cannot interrupt it.
//
// Retries. A client with default options sends a command up to four times. Here it is sent
// once, whatever MaxRetries says. The commands of a greeting are sent once as well.
//
// Opening. A client opens a connection within the time of the command that needs it,
// and discards the connection when that time is over. Here a connection is opened in
// the background, which may take the longer of DialTimeout and the time of the command.
// That includes its greeting: credentials, OnConnect, and a PING at the end.
// ReadTimeout bounds each reply of the greeting. A connection that is open too late for
// its command serves the next one. The command itself is not sent late.
//
// Demotion. A connection on which the server said READONLY or MASTERDOWN, anywhere in a
// reply, is closed. The idle connections of the client are closed with it, at most once in
// ten seconds.
//
// # Options that matter
//
// No option has to be set.
//
// ContextTimeoutEnabled has no effect here. The longer of ReadTimeout and WriteTimeout
// bounds a call whose context has no deadline, or a later one.
//
// PoolSize should be at least the number of locks that are acquired at the same moment. A
// command that finds no free connection by its deadline fails with an error that matches
// [pool.ErrNoConn].
//
// DialerRetries is how often go-redis dials (default 5, 100 ms apart) before it reports
// that a server refuses connections. With 1 it reports that at once. A command whose
// deadline passes during the dials only reports that no connection was open (an error
// that matches [pool.ErrNotSent] and not pool.ErrNoConn). Later commands report the
// cause.
//
// # Connections are shared
//
// A command is sent on any connection of the client's pool, in the state in which your
// code left the connection. If your code runs SELECT on a pooled connection and returns
// it, some locks go to another database, and two holders are possible. Other changes of
// the state of a connection do similar harm. Use client.EphemeralConn for such code.
//
// # Hooks
//
// Hooks added to the client before New run around every command. Hooks added later do
// not. Hooks get the errors that they get from client.Do: redis.Nil for a null, and an
// error for a command that was not sent because its context had ended. cmd.Err() returns
// the same error.
//
// The lock ignores the error that a hook returns for a command that the hook passed on
// to go-redis. A hook that swallows errors would otherwise turn a failure into a nil
// reply, which a lock takes for "granted".
//
// A hook gets a copy of the arguments. If it changes them, for example to add a prefix to
// keys, the command is refused and not sent: the lock would be under a key that other
// clients do not use. For a prefix use redlock.WithPrefix. If a hook repeats a command
// that was sent, it gets the first outcome again, and nothing is sent. Hooks do not see
// the PING of a greeting.
//
// # Subscriptions
//
// While a process waits for a lock it has one more connection to each node, to learn of
// releases. go-redis dials it with the client's options. It does not count for PoolSize;
// PoolStats shows it under PubSubStats. It ends soon after the last wait of the process,
// and when the client is closed. An ACL user needs PING, SUBSCRIBE, UNSUBSCRIBE and the
// channels (SECURITY.md has the lines). Without these rights waiting takes longer;
// nothing else changes. Hooks around commands do not see the commands of a subscription.
//
// # Clusters and rings
//
// A lock on N masters needs N independent servers, one for each Pool. A *redis.ClusterClient
// or *redis.Ring spreads keys over many servers, so New accepts neither. Code that has a
// redis.UniversalClient can look at its type:
//
//	switch client := universal.(type) {
//	case *redis.Client:
//		node = goredis.New(client)
//	default:
//		return fmt.Errorf("%T is not one independent master", client)
//	}
package goredis

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
)

// Pool is one Redis master behind a go-redis client. It is safe for concurrent
// use. Make it with [New].
type Pool struct {
	name   string
	hooks  *redis.Conn // runs the user's hooks, then the clone for the command
	clones clones
	slots  slots
}

var (
	_ pool.Pool   = (*Pool)(nil)
	_ pool.Backed = (*Pool)(nil)
)

// Option is an option of [New].
type Option func(*Pool)

// WithName sets the name that [Pool.String] returns, and so the node's name in errors and
// logs. A client made by redis.NewFailoverClient needs one: its options do not contain the
// name of its master, so every such node would be called "FailoverClient".
func WithName(name string) Option {
	return func(p *Pool) { p.name = name }
}

// New returns the master behind client. It sends nothing, and panics if client
// is nil.
func New(client *redis.Client, opts ...Option) *Pool {
	if client == nil {
		panic("goredis: New(nil): no client")
	}
	p := &Pool{name: nameOf(client.Options()), hooks: hooked(client)}
	p.clones.init(client)
	p.slots.init(client, &p.clones)
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// nameOf returns the address, with the database's number if it is not 0. It contains no
// user name and no password, also if the options have them in front of the address.
func nameOf(o *redis.Options) string {
	name := o.Addr
	if o.Network != "unix" {
		name = name[strings.LastIndex(name, "@")+1:]
	}
	if o.DB != 0 {
		name += "/" + strconv.Itoa(o.DB)
	}
	return name
}

// String returns the name given by [WithName], or the address of the client
// ("redis-1:6379", "redis-1:6379/2", "/run/redis.sock").
func (p *Pool) String() string { return p.name }

// Backing implements [pool.Backed]: it returns the client that was given to New.
func (p *Pool) Backing() any { return p.clones.client }

var errEmpty = errors.New("goredis: empty command")

// Do implements [pool.Pool].
func (p *Pool) Do(ctx context.Context, args ...any) (any, error) {
	if len(args) == 0 {
		return nil, unsent(errEmpty)
	}
	left, err := remaining(ctx)
	if err != nil {
		return nil, unsent(err)
	}
	cmd := newCommand(ctx, p, left, args)
	err = p.hooks.Process(ctx, cmd)
	return cmd.outcome(err)
}

// remaining returns the time until the deadline of ctx, the longest duration if it has
// none, or why ctx is over. It reads the clock as well: the timer of a context fires a
// little after the deadline, and much later after a pause of the process. A caller that
// compares the error with ctx.Err() sees the deadline by then.
func remaining(ctx context.Context) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	at, ok := ctx.Deadline()
	if !ok {
		return math.MaxInt64, nil
	}
	left := time.Until(at)
	if left <= 0 {
		return 0, context.DeadlineExceeded
	}
	return left, nil
}

// ended returns why ctx is over, or nil.
func ended(ctx context.Context) error {
	_, err := remaining(ctx)
	return err
}

// Bounded implements [pool.Bounded]. Do waits for a connection until the deadline of
// ctx at most, even if the opening goes on in the background. If its command was sent,
// or its goroutine opens the connection, Do may end later, by as much as pool.Bounded
// allows.
func (p *Pool) Bounded() {}
