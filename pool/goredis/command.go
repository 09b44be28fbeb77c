package goredis

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// command is one command on its way through go-redis, and its outcome. Only the caller's
// goroutine uses it.
//
// It is not a redis.Cmd, which reports a null as the error redis.Nil. A granted lock would
// be an error, and go-redis inspects an error some twenty times, for an allocation each.
// With a RawWriteToCmd go-redis writes the reply to the decoder while it reads it, and the
// decoder decides what go-redis sees as an error.
//
// A RawCmd hands over the bytes at the end, and so hides every error reply from go-redis.
// go-redis would keep the connection after READONLY, and a client behind Sentinel would use
// the demoted master for ever.
type command struct {
	redis.RawWriteToCmd
	reply decoder
	ctx   context.Context
	pool  *Pool
	left  time.Duration // until the deadline of ctx, when Do was called
	bound lenient       // what the client gets

	inner bool // past the user's hooks: the next call of Args is by the client, to write them
	ran   bool // inner was set at least once
	asked bool // Args was called, by a hook or by the client
	sent  bool // Args was called by the client: the command may be on the wire
	late  bool // ctx had ended by then: a PING was sent instead

	copied *[]any // a copy of the arguments, once a hook asked for them

	err error // what the client returned to the innermost hook
}

func newCommand(ctx context.Context, p *Pool, left time.Duration, args []any) *command {
	c := &command{ctx: ctx, pool: p, left: left}
	c.reply.Reset()
	// By value, for one allocation less. It contains an atomic. Copying that is safe as long
	// as nothing has a pointer to the original.
	c.RawWriteToCmd = *redis.NewRawWriteToCmd(ctx, &c.reply, args...)
	return c
}

// NoRetry keeps the client from sending the command again after a failure. The server may
// have run it before the failure: if the reply to SET NX is lost and the command repeated,
// the second reply is "taken", and the holder is this very call. It also keeps the command
// away from the client-side cache.
func (c *command) NoRetry() bool { return true }

// Args is called by the client at the last moment: it has a connection, and writes the
// command into its buffer. That call settles two questions that an error afterwards cannot
// answer for certain.
//
// First, a command whose Args the client never called did not reach the server, whatever
// failed: the dial, the handshake, the wait for a connection, a hook, a closed client.
//
// Second, a command whose context ended while it waited for a connection must not be sent
// late: its caller has returned, and the key that it sets would have to be released again.
// An error here would cost the connection. So a PING is sent in its place, and the
// connection is kept.
//
// Hooks get a copy. The slice is shared with the same command to other servers, and with
// its repetitions.
func (c *command) Args() []any {
	c.asked = true
	if !c.inner {
		if c.copied == nil {
			copied := slices.Clone(c.RawWriteToCmd.Args())
			c.copied = &copied
		}
		return *c.copied
	}
	if c.late || !c.sent && ended(c.ctx) != nil {
		c.late = true
		return ping
	}
	c.sent = true
	return c.RawWriteToCmd.Args()
}

// changed reports whether a hook wrote into its copy of the arguments.
func (c *command) changed() bool {
	return c.copied != nil && !reflect.DeepEqual(*c.copied, c.RawWriteToCmd.Args())
}

var ping = []any{"PING"}

// String is what client.Do's command would print: the command and its reply.
// Hooks log it.
func (c *command) String() string {
	plain := redis.NewCmd(c.ctx, c.RawWriteToCmd.Args()...)
	plain.SetVal(c.reply.Value)
	plain.SetErr(c.Err())
	return plain.String()
}

// run hands the command to the client and returns what the user's hooks expect, which is
// what client.Do returns: redis.Nil for a null. For a late command they get the error of its
// context, not the success of the PING.
//
// A hook that repeats a command which was sent gets the first outcome again, and nothing is
// sent: the server may have carried it out. The reply to a second release would be "not
// held", to a second acquire "taken".
func (c *command) run(ctx context.Context) error {
	if !c.sent {
		c.ran = true
		c.reply.Reset()
		c.err = c.process(ctx)
	}
	err := c.err
	switch {
	case c.late:
		err = ended(c.ctx)
	case err == nil && c.reply.Done && c.reply.Value == nil:
		err = redis.Nil
	}
	c.SetErr(err)
	return err
}

func (c *command) process(ctx context.Context) error {
	if c.changed() {
		return errChanged
	}
	p := c.pool
	left, err := p.slots.acquire(ctx, c.left)
	if err != nil {
		return err
	}
	became := dropped // also if the user's code panics (OnConnect, a provider, the Limiter)
	defer func() { p.slots.release(became) }()
	c.inner = true
	c.bound = lenient{ctx, max(min(c.left, longest)/8, shortest)}
	err = p.clones.get(left).Process(&c.bound, c)
	c.inner = false
	switch is, isReply := err.(demoted); {
	case isReply:
		p.slots.demoted(ctx)
		return is.refusal
	case err == nil || isRefusal(err) && (c.sent || c.late):
		became = answered
	case c.sent || c.late:
	default:
		became = unopened
		if ended(ctx) != nil {
			return p.slots.starved(err)
		}
	}
	return err
}

var (
	errHook    = errors.New("goredis: a hook of the client did not pass the command on")
	errNoReply = errors.New("goredis: the client returned without a reply")
	errChanged = errors.New("goredis: a hook of the client changed the arguments of the command, and so what it would lock; " +
		"let the hook leave the commands of locks alone, and put a prefix before names with redlock.WithPrefix")
)

// outcome returns the reply or the error. hookErr is the error that the user's hooks
// returned. It counts only if they did not pass the command on: hooks may wrap, replace or
// drop the client's error.
func (c *command) outcome(hookErr error) (any, error) {
	switch {
	case c.late:
		return nil, unsent(ended(c.ctx))
	case !c.ran:
		if hookErr == nil {
			hookErr = errHook
		}
		return nil, failed(c.ctx, hookErr, !c.asked)
	case c.err != nil:
		return nil, failed(c.ctx, c.err, !c.sent)
	case !c.reply.Done:
		return nil, failed(c.ctx, errNoReply, !c.sent)
	}
	return c.reply.Value, nil
}
