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

// Subscribe implements [pool.Subscriber]. The connection is one of the source's, and counts
// for the source's limit while the process waits for a lock.
//
// From a *redis.Pool with MaxActive one connection is borrowed, however many Lockers use
// the pool. The connection goes back to the pool when a command finds none free. Then
// waiters are not notified, and retry after their delay.
//
// The error matches [errors.ErrUnsupported] if MaxActive is 1, since no connection would
// be left for commands. It also does if the connections do not have both ReceiveContext
// and ReceiveWithTimeout.
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

// interruptible reports whether a connection has the methods that a subscription needs. A
// connection of a pool has all methods, and reports only when called that the connection
// below it lacks one. The empty command sends nothing and waits for nothing, since no reply
// is outstanding.
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
	forget func() bool // stops the interrupt at the end of ctx
	loan   *loan       // nil if the connection is not borrowed

	mu     sync.Mutex // protects closed, and conn from being closed while it is interrupted
	closed bool
}

func (s *subscription) Join(channel string) error  { return s.conn.Subscribe(channel) }
func (s *subscription) Leave(channel string) error { return s.conn.Unsubscribe(channel) }
func (s *subscription) Ping() error                { return s.conn.Ping("") }

// Receive waits without a timeout, also if the connections have a DialReadTimeout: most of
// the time there is no message.
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

// Close returns the connection to its source. The source drops it, since it is broken or was
// interrupted. So the error of closing it is ignored.
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
