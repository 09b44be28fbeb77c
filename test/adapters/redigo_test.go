package adapters_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/redigo"
)

// source is a function that hands out connections.
type source func(ctx context.Context) (redis.Conn, error)

func (s source) GetContext(ctx context.Context) (redis.Conn, error) { return s(ctx) }

// plain has the methods that every redigo connection has, and no others.
type plain struct{ redis.Conn }

// contextual has the methods with a context as well.
type contextual struct{ redis.Conn }

func (c contextual) DoContext(ctx context.Context, name string, args ...any) (any, error) {
	return redis.DoContext(c.Conn, ctx, name, args...)
}

func (c contextual) ReceiveContext(ctx context.Context) (any, error) {
	return redis.ReceiveContext(c.Conn, ctx)
}

func TestRedigoUsesWhatTheConnectionsOfASourceCanDo(t *testing.T) {
	addr := miniredis.RunT(t).Addr()
	for name, wrap := range map[string]func(redis.Conn) redis.Conn{
		"no timeouts and no contexts": func(c redis.Conn) redis.Conn { return plain{c} },
		"contexts only":               func(c redis.Conn) redis.Conn { return contextual{c} },
	} {
		t.Run(name, func(t *testing.T) {
			p := redigo.New(source(func(ctx context.Context) (redis.Conn, error) {
				conn, err := redis.DialContext(ctx, "tcp", addr)
				if err != nil {
					return nil, err
				}
				return wrap(conn), nil
			}))
			wantReply(t, p, "OK", "SET", "key", "value")
			if reply, err := p.Do(t.Context(), "GET", "key"); err != nil || reply != "value" {
				t.Errorf("got %v, %v", reply, err)
			}
			wantRefusal(t, p, "ERR", "NOSUCH")
		})
	}
}

func TestRedigoSendsNothingLateAndKeepsTheConnectionThatCameLate(t *testing.T) {
	server := miniredis.RunT(t)
	dials := 0
	connections := &redis.Pool{
		Dial: func() (redis.Conn, error) {
			dials++
			time.Sleep(60 * time.Millisecond) // a dial that no context interrupts
			return redis.Dial("tcp", server.Addr())
		},
		MaxIdle: 1,
	}
	defer connections.Close()
	p := redigo.New(connections)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := p.Do(ctx, "SET", "key", "value"); !errors.Is(err, pool.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if server.Exists("key") {
		t.Error("the command was sent after its deadline")
	}
	wantReply(t, p, "OK", "SET", "key", "value")
	if dials != 1 {
		t.Errorf("%d connections were made, one would do", dials)
	}
}

func TestRedigoACommandWithoutAConnectionWasNotSent(t *testing.T) {
	addr := closedAddr(t)
	broken := errors.New("broken")
	for name, p := range map[string]redigo.Source{
		"no server":     source(func(ctx context.Context) (redis.Conn, error) { return redis.DialContext(ctx, "tcp", addr) }),
		"broken before": source(func(context.Context) (redis.Conn, error) { return spent{broken}, nil }),
	} {
		_, err := redigo.New(p).Do(t.Context(), "SET", "key", "value")
		wantError(t, err, pool.ErrNotSent)
		var dial *net.OpError
		if name == "no server" && (!errors.As(err, &dial) || dial.Op != "dial") {
			t.Errorf("%v does not show its cause", err)
		}
		if errors.Is(err, pool.ErrNoConn) || errors.Is(err, pool.ErrClosed) {
			t.Errorf("%v blames the client", err)
		}
	}
}

func TestRedigoAPoolThatIsFullIsBlamedAndNotItsNode(t *testing.T) {
	server := miniredis.RunT(t)
	for name, wait := range map[string]bool{"refuses": false, "waits": true} {
		t.Run(name, func(t *testing.T) {
			connections := &redis.Pool{MaxIdle: 3, MaxActive: 3, Wait: wait, DialContext: func(ctx context.Context) (redis.Conn, error) {
				return redis.DialContext(ctx, "tcp", server.Addr())
			}}
			defer connections.Close()
			p := redigo.New(connections)
			for range connections.MaxActive {
				held, err := connections.GetContext(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer held.Close()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := p.Do(ctx, "SET", "key", "value")
			wantError(t, err, pool.ErrNotSent, pool.ErrNoConn)
			if wait {
				wantError(t, err, context.DeadlineExceeded)
			} else {
				wantError(t, err, redis.ErrPoolExhausted)
			}
			if !strings.Contains(err.Error(), "MaxActive is 3") {
				t.Errorf("%q does not say what to change", err)
			}
		})
	}
}

// Its connections are all being opened, and that the server does not answer is not for
// want of them.
func TestRedigoAPoolThatIsNotFullIsNotBlamed(t *testing.T) {
	over, ended := make(chan struct{}), make(chan struct{})
	connections := &redis.Pool{MaxIdle: 1, MaxActive: 1, Wait: true, DialContext: func(ctx context.Context) (redis.Conn, error) {
		defer close(ended)
		_, _ = ctx.Deadline() // as every dialer does
		<-over
		return nil, errors.New("down")
	}}
	p := redigo.New(connections)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Do(ctx, "SET", "key", "value")
	wantError(t, err, pool.ErrNotSent, context.DeadlineExceeded)
	if errors.Is(err, pool.ErrNoConn) {
		t.Errorf("%v blames the pool", err)
	}
	close(over)
	<-ended
}

// spent is a connection that says that it cannot be used.
type spent struct{ err error }

func (s spent) Close() error                   { return nil }
func (s spent) Err() error                     { return s.err }
func (s spent) Do(string, ...any) (any, error) { panic("used") }
func (s spent) Send(string, ...any) error      { panic("used") }
func (s spent) Flush() error                   { panic("used") }
func (s spent) Receive() (any, error)          { panic("used") }

func TestRedigoPoolsWithoutANameAreDistinguished(t *testing.T) {
	a, b := redigo.New(&redis.Pool{}), redigo.New(&redis.Pool{})
	if a.String() == b.String() || !strings.HasPrefix(a.String(), "redigo#") {
		t.Errorf("their names are %q and %q", a, b)
	}
	if again := a.String(); again != a.String() {
		t.Errorf("the name changed to %q", again)
	}
}

func TestRedigoPoolsOnOneSourceAreKnownByIt(t *testing.T) {
	backing := func(p pool.Pool) any { return p.(pool.Backed).Backing() }
	connections := &redis.Pool{}
	a, b := redigo.New(connections, redigo.WithName("a")), redigo.New(connections, redigo.WithName("b"))
	if backing(a) != backing(b) || backing(a) == nil {
		t.Errorf("they are backed by %v and %v", backing(a), backing(b))
	}
	if other := redigo.New(&redis.Pool{}); backing(other) == backing(a) {
		t.Error("two pools pass for one")
	}
	dial := func(context.Context) (redis.Conn, error) { return nil, errors.New("down") }
	if got := backing(redigo.New(source(dial))); got != nil {
		t.Errorf("a function is compared: %v", got)
	}
	pipelined := redigo.NewPipelined(dial)
	defer pipelined.Close()
	if got := backing(pipelined); got != nil {
		t.Errorf("a dial function is compared: %v", got)
	}
}
