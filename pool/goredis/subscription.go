package goredis

import (
	"context"
	"errors"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
)

var _ pool.Subscriber = (*Pool)(nil)

// greetTimeout bounds each step of a greeting, and each write. A context interrupts
// go-redis during the dial, not later.
const greetTimeout = time.Second

// Subscribe implements [pool.Subscriber]. The connection is dialed with the client's
// options and does not count for its PoolSize. It ends when ctx ends or the client is
// closed.
//
// If the server freezes while Subscribe greets it, Subscribe returns up to a second after
// ctx has ended.
func (p *Pool) Subscribe(ctx context.Context) (pool.Subscription, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	// A clone's subscriptions are the client's, and end when that is closed.
	s := &subscription{ctx: ctx, conn: p.clones.get(greetTimeout).Subscribe(ctx)}
	if err := s.conn.Ping(ctx); err != nil { // connects
		s.conn.Close()
		return nil, failed(ctx, err, false)
	}
	// Only Close ends a Receive. It is not called before the subscription is connected:
	// Close would wait for that with a mutex, which stops the time of a synctest bubble.
	s.closed = context.AfterFunc(ctx, func() { s.conn.Close() })
	return s, nil
}

// A subscription is a connection of go-redis's own. After a failure go-redis would connect
// again and join all channels, with a mutex held, before it returns the error. A context
// that has ended prevents that. go-redis uses this context for nothing else.
type subscription struct {
	ctx    context.Context
	conn   *redis.PubSub
	closed func() bool
}

var noMore = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func (s *subscription) Join(channel string) error  { return s.conn.Subscribe(noMore, channel) }
func (s *subscription) Leave(channel string) error { return s.conn.Unsubscribe(noMore, channel) }
func (s *subscription) Ping() error                { return s.conn.Ping(noMore) }

func (s *subscription) Receive() (pool.Event, error) {
	e, err := s.conn.ReceiveTimeout(noMore, 0)
	switch e := e.(type) {
	case *redis.Message:
		return pool.Event{Kind: pool.Message, Channel: e.Channel, Message: e.Payload}, nil
	case *redis.Subscription:
		if e.Kind == "subscribe" {
			return pool.Event{Kind: pool.Joined, Channel: e.Channel}, nil
		}
	}
	if err != nil {
		s.Close()
		return pool.Event{}, failed(s.ctx, err, false)
	}
	return pool.Event{}, nil
}

// Close may be called again.
func (s *subscription) Close() error {
	s.closed()
	if err := s.conn.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return err
	}
	return nil
}
