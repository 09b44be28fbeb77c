package redigo

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

func unsent(err error) error {
	return fmt.Errorf("%w: %w", pool.ErrNotSent, err)
}

// failed returns err in the form that [pool.Pool] promises. An error reply may come from the
// dial as well: to AUTH or SELECT.
func failed(ctx context.Context, err error) error {
	if refusal := redis.Error(""); errors.As(err, &refusal) {
		return pool.Error(refusal)
	}
	if over := ended(ctx); over != nil && !errors.Is(err, over) {
		return fmt.Errorf("%w: %w", over, err)
	}
	return err
}

// closedText is the error text of a closed redis.Pool. redigo exports no value for this
// error, so the text is taken from a pool that is closed here.
var closedText = func() string {
	var closed redis.Pool
	closed.Close()
	return closed.Get().Err().Error()
}()

// noConnection says why the source gave no connection: it is closed, it is at its limit, or
// the dial failed.
func (p *Pool) noConnection(ctx context.Context, err error) error {
	switch {
	case err.Error() == closedText:
		return fmt.Errorf("%w: %w", pool.ErrClosed, err)
	case errors.Is(err, redis.ErrPoolExhausted):
		return fmt.Errorf("%w: %s: %w", pool.ErrNoConn, p.limit(), err)
	case err == ctx.Err() && p.full():
		return fmt.Errorf("%w: %s: %w", pool.ErrNoConn, p.limit(), err)
	}
	return failed(ctx, err)
}

// full reports whether all connections that the pool may have are in use, so that a call
// waits for one.
func (p *Pool) full() bool {
	connections, ok := p.source.(*redis.Pool)
	return ok && full(connections, connections.Stats())
}

func full(connections *redis.Pool, stats redis.PoolStats) bool {
	return connections.Wait && connections.MaxActive > 0 && stats.ActiveCount >= connections.MaxActive && stats.IdleCount == 0
}

// limit names the option of redigo that bounds the connections.
func (p *Pool) limit() string {
	if connections, ok := p.source.(*redis.Pool); ok {
		return fmt.Sprintf("its MaxActive is %d", connections.MaxActive)
	}
	return "its MaxActive is reached"
}
