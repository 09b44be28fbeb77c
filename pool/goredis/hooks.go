package goredis

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

// hooked returns a Conn that runs the user's hooks around a command and then hands it to
// the clone for the command.
//
// The clones cannot run the hooks: WithTimeout returns a client without them. A test holds
// that for go-redis 9.23; a version that kept them would run them twice. A [redis.Conn] has
// the hooks of its client, and a hook added to it is not added to the client. Its own
// connection is never opened, since the innermost hook does not pass commands on. The
// documentation says that only one goroutine may use a Conn. That is about its connection,
// so it does not apply here.
func hooked(client *redis.Client) *redis.Conn {
	conn := client.Conn()
	conn.AddHook(innermost{})
	return conn
}

// innermost is the hook below all of the user's.
type innermost struct{}

func (innermost) DialHook(next redis.DialHook) redis.DialHook { return next }

func (innermost) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

var errForeign = errors.New("goredis: a hook of the client passed on another command than it got")

func (innermost) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c, ok := cmd.(*command)
		if !ok {
			return errForeign
		}
		return c.run(ctx)
	}
}

// once is the hook of the clones. A greeting runs the hooks of the client that opens the
// connection. Without this hook go-redis would repeat the commands of a greeting, with
// pauses, on a connection that is known to be broken, even after the client is closed.
type once struct{}

func (once) DialHook(next redis.DialHook) redis.DialHook { return next }

func (once) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if _, ours := cmd.(*command); !ours {
			cmd = notRepeated{cmd}
		}
		return next(ctx, cmd)
	}
}

func (once) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		// One such command is enough for the pipeline. It is not the first one: go-redis looks
		// at the type of MULTI.
		own := slices.Clone(cmds)
		if last := len(own) - 1; last >= 0 {
			own[last] = notRepeated{own[last]}
		}
		return next(ctx, own)
	}
}

// notRepeated is a command that go-redis sends once.
type notRepeated struct{ redis.Cmder }

func (notRepeated) NoRetry() bool { return true }
