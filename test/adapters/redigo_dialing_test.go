package adapters_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/redigo"
)

// dialer is what a redis.Pool has as its DialContext.
type dialer = func(ctx context.Context) (redis.Conn, error)

// onBothRedigo runs a test with both adapters for redigo.
func onBothRedigo(t *testing.T, test func(t *testing.T, open func(dialer) pool.Pool)) {
	t.Run("plain", func(t *testing.T) {
		test(t, func(dial dialer) pool.Pool {
			connections := &redis.Pool{MaxIdle: 16, DialContext: dial}
			t.Cleanup(func() { _ = connections.Close() })
			return redigo.New(connections)
		})
	})
	t.Run("plain, without idle connections", func(t *testing.T) {
		test(t, func(dial dialer) pool.Pool {
			connections := &redis.Pool{DialContext: dial}
			t.Cleanup(func() { _ = connections.Close() })
			return redigo.New(connections)
		})
	})
	t.Run("pipelined", func(t *testing.T) {
		test(t, func(dial dialer) pool.Pool {
			p := redigo.NewPipelined(dial)
			t.Cleanup(func() { _ = p.Close() })
			return p
		})
	})
}

// leaving is a dial function that sends something and leaves the reply unread.
func leaving(addr string, flush bool, args ...any) dialer {
	return func(ctx context.Context) (redis.Conn, error) {
		conn, err := redis.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		if err := conn.Send(args[0].(string), args[1:]...); err != nil {
			return nil, err
		}
		if flush {
			return conn, conn.Flush()
		}
		return conn, nil
	}
}

func TestRepliesThatTheDialLeftUnreadAnswerNoCommand(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	for name, args := range map[string][]any{
		"a reply":   {"CLIENT", "SETNAME", "worker"},
		"a refusal": {"CLIENT", "NOSUCH", "worker"}, // as SETINFO before Redis 7.2
	} {
		for _, flush := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, flushed: %v", name, flush), func(t *testing.T) {
				onBothRedigo(t, func(t *testing.T, open func(dialer) pool.Pool) {
					p := open(leaving(server.Addr(), flush, args...))
					wantReply(t, p, "the first", "ECHO", "the first")
					var all sync.WaitGroup
					for i := range 20 {
						all.Go(func() {
							ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
							defer cancel()
							text := fmt.Sprint(i)
							if reply, err := p.Do(ctx, "ECHO", text); reply != text || err != nil {
								t.Errorf("ECHO %s: got %v, %v", text, reply, err)
							}
						})
					}
					all.Wait()
					wantReply(t, p, "heard", "ECHO", "heard")
					if plain, ok := p.(*redigo.Pool); ok {
						ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
						defer cancel()
						s := subscribed(t, ctx, plain, "channel")
						cancel()
						_, _ = s.Receive()
						_ = s.Close()
					}
				})
			})
		}
	}
}

// A lock in database 0 that should be in another one excludes no one.
func TestAConnectionWhoseDialWasRefusedUnreadIsNotUsed(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	onBothRedigo(t, func(t *testing.T, open func(dialer) pool.Pool) {
		p := open(leaving(server.Addr(), false, "SELECT", 99))
		if err := wantRefusal(t, p, "ERR DB index", "SET", "key", "value"); !errors.Is(err, pool.ErrNotSent) {
			t.Errorf("%v does not say that nothing was sent", err)
		}
		if n, err := server.Do("EXISTS", "key"); n != int64(0) || err != nil {
			t.Errorf("it was sent: %v, %v", n, err)
		}
	})
}

// A slowDial is a dial function that takes until it is released, and heeds its context.
type slowDial struct {
	addr  string
	begin chan struct{}
	back  chan error
	dials atomic.Int32
}

func (s *slowDial) dial(ctx context.Context) (redis.Conn, error) {
	s.dials.Add(1)
	select {
	case <-s.begin:
	case <-ctx.Done(): // as a token that is fetched
		s.back <- ctx.Err()
		return nil, ctx.Err()
	}
	conn, err := redis.DialContext(ctx, "tcp", s.addr)
	s.back <- err
	return conn, err
}

func TestADialThatOutlastsItsCommandServesTheNextOne(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	onBothRedigo(t, func(t *testing.T, open func(dialer) pool.Pool) {
		s := &slowDial{addr: server.Addr(), begin: make(chan struct{}), back: make(chan error, 10)}
		p := open(s.dial)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := p.Do(ctx, "SET", "key", "value")
		wantError(t, err, pool.ErrNotSent, context.DeadlineExceeded)
		if !strings.Contains(err.Error(), "opening a connection has taken") {
			t.Errorf("%q does not say what took so long", err)
		}
		close(s.begin)
		if err := <-s.back; err != nil {
			t.Errorf("the dial ended with its command: %v", err)
		}
		wantReply(t, p, "PONG", "PING")
		if n := s.dials.Load(); n != 1 {
			t.Errorf("%d dials, one would do", n)
		}
	})
}

// The master of one address changes.
type failover struct{ addr atomic.Pointer[string] }

func (f *failover) to(addr string) { f.addr.Store(&addr) }

func (f *failover) dial(ctx context.Context) (redis.Conn, error) {
	return redis.DialContext(ctx, "tcp", *f.addr.Load())
}

func TestAFailOverBehindOneAddressCostsRedigoOneCall(t *testing.T) {
	onBothRedigo(t, func(t *testing.T, open func(dialer) pool.Pool) {
		before, after := redisproc.Start(t, redisproc.Options{}), redisproc.Start(t, redisproc.Options{})
		var f failover
		f.to(before.Addr())
		p := open(f.dial)
		var warm sync.WaitGroup
		for range 10 {
			warm.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if _, err := p.Do(ctx, "EVAL", "for i=1,1e6 do end return redis.call('SET', KEYS[1], 'v')", int64(1), "warm"); err != nil {
					t.Error(err)
				}
			})
		}
		warm.Wait()
		host, port, _ := net.SplitHostPort(after.Addr())
		if _, err := before.Do("REPLICAOF", host, port); err != nil {
			t.Fatal(err)
		}
		f.to(after.Addr())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := p.Do(ctx, "SET", "key", "value"); err != nil && !pool.Demoted(err) {
			t.Fatal(err)
		}
		for range 10 {
			wantReply(t, p, "OK", "SET", "key", "value")
		}
	})
}

// metered counts what a connection asks of the system.
type metered struct {
	net.Conn
	reads, writes *atomic.Int32
}

func (c metered) Read(b []byte) (int, error) {
	c.reads.Add(1)
	return c.Conn.Read(b)
}

func (c metered) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestACommandOnAnIdleConnectionOfRedigoIsOneWriteAndOneRead(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	var reads, writes atomic.Int32
	connections := &redis.Pool{MaxIdle: 1, DialContext: func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", server.Addr(), redis.DialContextFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return metered{conn, &reads, &writes}, err
		}))
	}}
	defer connections.Close()
	p := redigo.New(connections)
	wantReply(t, p, "PONG", "PING")
	reads.Store(0)
	writes.Store(0)
	for range 100 {
		wantReply(t, p, "PONG", "PING")
	}
	if r, w := reads.Load(), writes.Load(); r != 100 || w != 100 {
		t.Errorf("100 commands took %d reads and %d writes", r, w)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	args := []any{"PING"}
	// redigo: the connection that it hands out, the command's name as an interface.
	if n := testing.AllocsPerRun(100, func() { _, _ = p.Do(ctx, args...) }); n > 1 {
		t.Errorf("a command allocates %v times", n)
	}
}
