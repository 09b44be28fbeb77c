package goredis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// open has the client open a connection. It has the time that the client's own options
// give it, and not that of a command.
//
// A PING does it. The client takes an idle connection for it if there is one.
func (s *slots) open(ctx context.Context, left time.Duration) {
	err := errPanicked
	defer func() {
		// OnConnect, providers and the Limiter are the user's code, on a goroutine where he
		// cannot recover.
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanicked, r)
		}
		s.opened(err)
	}()
	limit := max(s.limit, min(left, longest))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	for range s.all + 1 {
		idle := s.client.PoolStats().IdleConns
		var open bool
		open, err = s.ping(ctx, limit)
		if open || idle == 0 || !endedIdle(err) {
			break
		}
		// The server has closed this one, and maybe all that are idle.
	}
	if err != nil {
		err = s.explain(ctx, err)
	}
}

// ping reports whether a connection is open now, or why none is.
func (s *slots) ping(ctx context.Context, limit time.Duration) (open bool, err error) {
	c := newCommand(ctx, nil, limit, ping)
	c.inner = true
	c.bound = lenient{ctx, limit / 8}
	err = s.clones.get(limit).Process(&c.bound, c)
	open = c.sent || c.late
	if is, ok := err.(demoted); ok {
		err, open = is.refusal, false // the connection is closed
	}
	if open && isRefusal(err) { // of PING, which not everybody may use
		err = nil
	}
	return open && err == nil, err
}

// endedIdle reports whether a connection ended as one does that the server closed.
func endedIdle(err error) bool {
	for _, end := range []error{io.EOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// explain says why the server closed a connection that greeted it. One that takes no
// more clients, or none from here, says so to a connection before it has asked anything,
// and closes it. go-redis is writing then, and the words are lost with the connection. So
// another one listens.
func (s *slots) explain(ctx context.Context, err error) error {
	if !endedIdle(err) {
		return err
	}
	const spoken = 100 * time.Millisecond
	o := s.client.Options()
	conn, dialErr := o.Dialer(ctx, o.Network, o.Addr)
	if dialErr != nil {
		return err
	}
	defer conn.Close()
	if conn.SetReadDeadline(time.Now().Add(spoken)) != nil {
		return err
	}
	line, readErr := bufio.NewReader(conn).ReadString('\n')
	text, isError := strings.CutPrefix(strings.TrimSpace(line), "-")
	if readErr != nil || !isError {
		return fmt.Errorf("%w (the server closed the connection: see its log, its maxclients, and whether it wants TLS)", err)
	}
	return fmt.Errorf("%w (%w)", asGoRedis(redis.Nil, text), err)
}

// demoted closes the idle connections of the client: they lead to a server that is no
// master any more, as the one did that said so. Otherwise each would cost a command.
//
// A client that is meant for a replica says that of every write, and its connections
// serve others who read. So it does not happen again for a while.
func (s *slots) demoted(ctx context.Context) {
	const pause = 10 * time.Second
	now := time.Now()
	last := s.swept.Load()
	if last != nil && now.Sub(*last) < pause || !s.swept.CompareAndSwap(last, &now) {
		return
	}
	s.mu.Lock()
	s.forget()
	s.mu.Unlock()
	client := s.clones.get(shortest)
	for range s.client.PoolStats().IdleConns {
		if ended(ctx) != nil || s.client.PoolStats().IdleConns == 0 {
			return
		}
		// What cannot be written costs the client the connection. Nothing is sent.
		c := newCommand(ctx, nil, shortest, []any{struct{}{}})
		c.inner = true
		_ = client.Process(ctx, c)
	}
}
