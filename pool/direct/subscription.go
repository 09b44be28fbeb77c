package direct

import (
	"context"
	"fmt"

	"github.com/quorumlock/quorumlock/pool"
)

// Subscribe implements [pool.Subscriber]. The connection ends when ctx ends.
func (p *Pool) Subscribe(ctx context.Context) (pool.Subscription, error) {
	if p.closed.Load() {
		return nil, pool.ErrClosed
	}
	opening, cancel := context.WithTimeout(ctx, p.server.dialTimeout)
	defer cancel()
	type opened struct {
		conn *conn
		err  error
	}
	back := make(chan opened)
	go func() { // ends when the user's dialer and credentials have returned, at the latest
		c, err := p.server.open(opening)
		select {
		case back <- opened{c, err}:
		case <-opening.Done():
			if err == nil {
				c.Close()
			}
		}
	}()
	s := &subscription{ctx: ctx}
	select {
	case o := <-back:
		if o.err != nil {
			return nil, because(ctx, o.err)
		}
		s.conn = o.conn
	case <-opening.Done():
		return nil, fmt.Errorf("%w: opening a connection goes on", opening.Err())
	}
	c := s.conn
	s.stop = context.AfterFunc(ctx, func() { c.Close() })
	return s, nil
}

// A subscription is a connection in the subscribed state of RESP2.
type subscription struct {
	ctx  context.Context
	conn *conn
	stop func() bool
}

func (s *subscription) Join(channel string) error  { return s.send("SUBSCRIBE", channel) }
func (s *subscription) Leave(channel string) error { return s.send("UNSUBSCRIBE", channel) }
func (s *subscription) Ping() error                { return s.send("PING") }

func (s *subscription) send(words ...any) error {
	err := s.conn.Send(words)
	if err == nil {
		err = s.conn.Flush()
	}
	return err
}

// Receive waits without a timeout: most of the time there is no message.
func (s *subscription) Receive() (pool.Event, error) {
	reply, err := s.conn.Receive()
	if err != nil {
		s.conn.Close()
		return pool.Event{}, because(s.ctx, err)
	}
	words, _ := reply.([]any)
	if len(words) != 3 {
		return pool.Event{}, nil // the answer to a PING
	}
	kind, _ := words[0].(string)
	channel, _ := words[1].(string)
	switch kind {
	case "subscribe":
		return pool.Event{Kind: pool.Joined, Channel: channel}, nil
	case "message":
		text, _ := words[2].(string)
		return pool.Event{Kind: pool.Message, Channel: channel, Message: text}, nil
	}
	return pool.Event{}, nil
}

// Close may be called again.
func (s *subscription) Close() error {
	s.stop()
	s.conn.Close()
	return nil
}
