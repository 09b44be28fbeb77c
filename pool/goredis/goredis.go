// Package goredis lets the lock reach a Redis master through go-redis
// (github.com/redis/go-redis/v9).
//
//	client := redis.NewClient(&redis.Options{Addr: "redis-1:6379"})
//	node := goredis.New(client)
//
// Any [*redis.Client] will do, however it was built: with TLS, with an ACL
// user, over a unix socket, through Sentinel (redis.NewFailoverClient; give it
// a name then, see [WithName], and mind that a replica that lagged may let in a second
// holder when it takes over). The client is not changed: its connections and
// its hooks are shared, its options are only read, and it stays yours to close.
//
// # What it does that a plain client.Do does not
//
// A client with default options ignores the deadline of a context once a
// command is on its way, and waits for its ReadTimeout of five seconds. Here
// the deadline bounds the command, rounded up by at most an eighth. A context
// that is cancelled before its deadline does not interrupt a command that is on
// its way; nothing in go-redis does.
//
// A client with default options sends a command up to four times. Here it is
// sent once, whatever MaxRetries says. So are the commands of a greeting.
//
// A client opens a connection within the time of the command that needs it, and
// throws the connection away when that time is over. Here a connection is opened
// in the background. It has DialTimeout for its greeting (credentials, OnConnect),
// or the time of the command if that is longer; each reply is bounded by
// ReadTimeout, too. A PING ends the greeting. A connection that is open too late
// for its command serves the next one. The command is not sent late.
//
// A connection on which the server said READONLY or MASTERDOWN, anywhere in a
// reply, is closed. The client's idle connections are closed with it, at most once
// in ten seconds.
//
// # Options that matter
//
// None has to be set. ContextTimeoutEnabled changes nothing here. ReadTimeout and
// WriteTimeout bound calls whose context has no deadline or a later one; where they
// differ, the longer one counts for both.
// PoolSize should be at least the number of locks that are acquired at the same
// moment. A command that finds no free connection by its deadline fails, and its
// error matches [pool.ErrNoConn]. DialerRetries (default 5, 100 ms
// apart) delays the news that a server refuses connections: 1 brings it at
// once. With a deadline below that, the first command says only that no connection
// was open; those after it say why.
//
// # The connections are shared
//
// Commands go out on any connection of the client's pool, as it is. If somebody
// ran SELECT on a pooled connection and gave it back, locks go to another database
// now and then, and two holders are possible. The same holds for any other state
// of a connection. Use client.EphemeralConn for that.
//
// # Hooks
//
// Hooks that the client has when New is called run around every command; those
// added later do not. They see the errors that they would see of client.Do,
// redis.Nil for a null among them, and cmd.Err() says the same; a command that
// was not sent because its context had ended is an error for them too. What a
// hook makes of an error is for traces, not for the lock: one that swallows
// errors would otherwise turn a failure into a nil reply, which means "granted".
//
// A hook gets a copy of the arguments. If it changes them, a prefix before keys for
// one, the command is refused and not sent: the lock would not be where others look
// for it. Use redlock.WithPrefix. If it repeats a command that was sent, it hears the
// first outcome again, and nothing is sent. Hooks do not see the PING.
//
// # Subscriptions
//
// A process that waits for a lock listens for its release, on one connection for
// each node. go-redis dials it with the client's options and does not count it for
// PoolSize; PoolStats shows it under PubSubStats. It ends when nobody waits any
// more, and with the client. An ACL user needs PING, SUBSCRIBE, UNSUBSCRIBE and the
// channels for that; without them waiting takes longer, and nothing else changes.
// Hooks around commands do not see what a subscription sends.
//
// # What it refuses
//
// A lock on N masters needs N independent servers, one for each Pool. A
// *redis.ClusterClient or *redis.Ring spreads keys over many and answers for
// none of them in particular, so New takes neither. One that holds a
// redis.UniversalClient finds out what it is:
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
	hooks  *redis.Conn // runs the user's hooks, and then the command's clone
	clones clones
	slots  slots
}

var (
	_ pool.Pool   = (*Pool)(nil)
	_ pool.Backed = (*Pool)(nil)
)

// Option is an option of [New].
type Option func(*Pool)

// WithName sets what [Pool.String] returns. A client made by
// redis.NewFailoverClient needs one: it does not tell the name of its master,
// so all of them would be called "FailoverClient".
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

// nameOf returns the address, with the database's number if it is not 0. User
// name and password are not part of it, not even where somebody wrote them in
// front of the address.
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

// remaining returns the time until the deadline of ctx, the longest if it has
// none, or why ctx is over. It asks the clock as well: the timer of a context may
// come round a little after its deadline (after a pause of the process, a long
// while later than the next instruction here), and a caller who compares with
// ctx.Err() will see the deadline by then.
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

// Bounded implements [pool.Bounded]: the deadline of ctx bounds the wait for a connection,
// and with an eighth of the time that there was on top of it, its greeting and the command.
func (p *Pool) Bounded() {}
