package goredis

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
)

// refused returns an error reply in the form in which go-redis gets it.
func refused(refusal pool.Error) error {
	err := asGoRedis(redis.Nil, string(refusal))
	if pool.Demoted(refusal) {
		return demoted{err}
	}
	return err
}

// asGoRedis returns an error reply as go-redis's own type for it. That type is internal to
// go-redis, and the type of redis.Nil. So the user's hooks find what they would find after
// client.Do, for example redis.ErrNoScript.
func asGoRedis[E ~string](_ E, text string) E { return E(text) }

// demoted is the error reply of a server that is no longer a master. go-redis keeps a
// connection after most such replies, and closes it after other errors. So demoted does not
// unwrap to a reply, and go-redis closes the connection. Hooks get the reply itself.
type demoted struct{ refusal error }

func (d demoted) Error() string { return d.refusal.Error() }

// isRefusal reports whether err is an error reply.
func isRefusal(err error) bool {
	var refusal redis.Error
	return errors.As(err, &refusal)
}

// failed returns err as the contract of [pool.Pool] wants it.
func failed(ctx context.Context, err error, certainlyUnsent bool) error {
	err = translated(err)
	if over := ended(ctx); over != nil && !isReply(err) && !errors.Is(err, over) {
		err = fmt.Errorf("%w: %w", over, err)
	}
	if certainlyUnsent {
		// A refusal gets here as well: of AUTH, HELLO or SELECT, which are sent
		// before a connection's first command.
		return unsent(err)
	}
	return err
}

// translated returns err in the words of package pool.
func translated(err error) error {
	var refusal redis.Error
	switch {
	case errors.As(err, &refusal):
		return pool.Error(refusal.Error())
	case errors.Is(err, redis.ErrClosed):
		return fmt.Errorf("%w: %w", pool.ErrClosed, err)
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return fmt.Errorf("%w (PoolSize, MaxActiveConns): %w", pool.ErrNoConn, err)
	}
	return err
}

func isReply(err error) bool {
	_, ok := err.(pool.Error)
	return ok
}

func unsent(err error) error {
	return fmt.Errorf("%w: %w", pool.ErrNotSent, err)
}
