package redigo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

var _ pool.Subscriber = (*Pool)(nil)

var (
	errNotSpared = fmt.Errorf("redigo: no connection to spare for a subscription, set MaxActive to 2 or more: %w", errors.ErrUnsupported)
	errNotEnded  = fmt.Errorf("redigo: a subscription needs connections with ReceiveContext and ReceiveWithTimeout: %w", errors.ErrUnsupported)
)

// Subscribe implements [pool.Subscriber]. The connection is one of the source's,
// and counts for its limit as long as somebody waits for a lock. A *redis.Pool with
// MaxActive lends one, however many Lockers use it, and gets it back when commands find
// no free connection: waiters are then not woken, and ask again by themselves. If it may
// have no other, the error matches [errors.ErrUnsupported]: no command would get through
// any more. So it does if the connections cannot be interrupted.
func (p *Pool) Subscribe(ctx context.Context) (pool.Subscription, error) {
	l, err := p.borrow()
	if err != nil {
		return nil, err
	}
	conn, err := p.source.GetContext(ctx)
	if err != nil {
		l.end()
		return nil, p.noConnection(ctx, err)
	}
	if err := usable(ctx, conn); err != nil {
		conn.Close()
		l.end()
		return nil, failed(ctx, err)
	}
	s := &subscription{ctx: ctx, conn: redis.PubSubConn{Conn: conn}, loan: l}
	s.forget = context.AfterFunc(ctx, s.interrupt)
	l.to(s)
	return s, nil
}

// usable returns why a connection cannot be subscribed with, or nil.
func usable(ctx context.Context, conn redis.Conn) error {
	if err := conn.Err(); err != nil {
		return err
	}
	if err := settleUntil(ctx, conn); err != nil {
		return err
	}
	if !interruptible(conn) {
		return errNotEnded
	}
	return nil
}

// interruptible reports whether a connection has what a subscription needs. Those
// of a pool have all methods, and say only when called what they are based on. The
// empty command is one that sends nothing and waits for nothing, since no reply is
// due.
func interruptible(conn redis.Conn) bool {
	_, err := redis.DoWithTimeout(conn, time.Second, "")
	if err == errNoTimeouts {
		return false
	}
	_, err = redis.DoContext(conn, context.Background(), "")
	return err != errNoContexts
}

// A subscription is a connection in redigo's subscribed state. redigo allows what
// [pool.Subscription] does: one goroutine that sends and another that receives.
type subscription struct {
	ctx    context.Context
	conn   redis.PubSubConn
	forget func() bool // ctx has nothing to interrupt any more
	loan   *loan       // of the connection

	mu     sync.Mutex // protects closed, and conn from being closed while it is interrupted
	closed bool
}

func (s *subscription) Join(channel string) error  { return s.conn.Subscribe(channel) }
func (s *subscription) Leave(channel string) error { return s.conn.Unsubscribe(channel) }
func (s *subscription) Ping() error                { return s.conn.Ping("") }

// Receive waits without a timeout, also if the connections have a DialReadTimeout:
// silence is what a subscription mostly hears.
func (s *subscription) Receive() (pool.Event, error) {
	switch e := s.conn.ReceiveWithTimeout(0).(type) {
	case redis.Message:
		return pool.Event{Kind: pool.Message, Channel: e.Channel, Message: string(e.Data)}, nil
	case redis.Subscription:
		if e.Kind == "subscribe" {
			return pool.Event{Kind: pool.Joined, Channel: e.Channel}, nil
		}
	case error:
		return pool.Event{}, failed(s.ctx, e)
	}
	return pool.Event{}, nil
}

// interrupt ends a Receive.
func (s *subscription) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		interrupt(s.conn.Conn)
	}
}

// Close gives the connection back to its source, which drops it: it is broken, or
// was interrupted. So the error says nothing new.
func (s *subscription) Close() error {
	s.forget()
	s.interrupt()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.conn.Close()
	s.loan.end()
	return nil
}
