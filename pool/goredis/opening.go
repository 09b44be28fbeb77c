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

// open makes the client open a connection, by a PING. It has the time of the client's own
// options, not the time of a command. If an idle connection exists, the client uses that for
// the PING.
func (s *slots) open(ctx context.Context, left time.Duration) {
	err := errPanicked
	defer func() {
		// OnConnect, providers and the Limiter are the user's code. It runs on a goroutine in
		// which the user cannot recover.
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
		// The server has closed this connection, and maybe all idle ones.
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
	if open && isRefusal(err) { // PING was denied, on a connection that is open
		err = nil
	}
	return open && err == nil, err
}

// endedIdle reports whether err is the error of a connection that the server closed.
func endedIdle(err error) bool {
	for _, end := range []error{io.EOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// explain finds out why the server closed a connection during its greeting. A server that
// accepts no more clients, or none from this address, sends its reason before it reads
// anything, and closes. go-redis is writing at that moment, and loses the reason with the
// connection. So explain opens another connection and only reads.
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

// demoted closes the idle connections of the client: like the connection of the refused
// command they lead to a server that is no longer a master. Otherwise each would cost a
// command.
//
// If the client is meant for a replica, every write is refused, and its connections serve
// reads elsewhere in the program. So demoted does nothing more for ten seconds.
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
		// An argument that go-redis cannot write makes it close the connection. Nothing is sent.
		c := newCommand(ctx, nil, shortest, []any{struct{}{}})
		c.inner = true
		_ = client.Process(ctx, c)
	}
}
