package adapters_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	goredisv9 "github.com/redis/go-redis/v9"
)

// brief is the time of commands that are not to get a connection.
const brief = 50 * time.Millisecond

func doBriefly(t *testing.T, p pool.Pool, args ...any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	_, err := p.Do(ctx, args...)
	return err
}

// slowly waits for ready as a dial, a provider or OnConnect does that asks elsewhere.
func slowly(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestGoRedisConnectionThatTakesLongerThanTheCommandServesTheNext(t *testing.T) {
	slow := map[string]func(t *testing.T, o *goredisv9.Options, wait func(context.Context) error){
		"a credentials provider": func(t *testing.T, o *goredisv9.Options, wait func(context.Context) error) {
			o.CredentialsProviderContext = func(ctx context.Context) (string, string, error) {
				return "", "", wait(ctx)
			}
		},
		"OnConnect": func(t *testing.T, o *goredisv9.Options, wait func(context.Context) error) {
			o.OnConnect = func(ctx context.Context, _ *goredisv9.Conn) error { return wait(ctx) }
		},
		"the dial": func(t *testing.T, o *goredisv9.Options, wait func(context.Context) error) {
			o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if err := wait(ctx); err != nil {
					return nil, err
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
		},
		"the greeting": func(t *testing.T, o *goredisv9.Options, wait func(context.Context) error) {
			o.Addr = behind(t, o.Addr, wait)
		},
	}
	for name, set := range slow {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, ContextTimeoutEnabled: %t", name, own), func(t *testing.T) {
				server := miniredis.RunT(t)
				opts := &goredisv9.Options{Addr: server.Addr(), ContextTimeoutEnabled: own, DialTimeout: time.Minute}
				ready := make(chan struct{})
				var opened atomic.Int32
				set(t, opts, func(ctx context.Context) error {
					opened.Add(1)
					return slowly(ctx, ready)
				})
				p := goredis.New(newGoRedisClient(t, opts))
				for range 3 {
					err := doBriefly(t, p, "SET", "key", "value")
					if !errors.Is(err, pool.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("before the connection is open: got %v", err)
					}
				}
				close(ready)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if reply, err := p.Do(ctx, "SET", "other", "value"); err != nil || reply != "OK" {
					t.Errorf("the next command got %v, %v", reply, err)
				}
				if n := opened.Load(); n != 1 {
					t.Errorf("%d connections were opened, one would do", n)
				}
				if server.Exists("key") {
					t.Error("a command was sent after its deadline")
				}
			})
		}
	}
}

// behind returns the address of a server that accepts connections and passes them on to
// another one when wait has returned.
func behind(t *testing.T, addr string, wait func(context.Context) error) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed by the cleanup
			}
			all.Go(func() {
				defer conn.Close()
				if wait(ctx) != nil {
					return
				}
				server, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				all.Go(func() {
					_, _ = io.Copy(server, conn) // ends when the client closes
					_ = server.Close()
				})
				_, _ = io.Copy(conn, server)
			})
		}
	})
	t.Cleanup(func() { // after the client, which is made later
		cancel()
		_ = listener.Close()
		all.Wait()
	})
	return listener.Addr().String()
}

func TestGoRedisOpeningIsBoundedByDialTimeoutAndTriedAgain(t *testing.T) {
	server := miniredis.RunT(t)
	var asked atomic.Int32
	p := goredis.New(newGoRedisClient(t, &goredisv9.Options{
		Addr: server.Addr(), DialTimeout: 2 * brief,
		CredentialsProviderContext: func(ctx context.Context) (string, string, error) {
			if asked.Add(1) == 1 {
				<-ctx.Done()
				return "", "", fmt.Errorf("no token: %w", ctx.Err())
			}
			return "", "", nil
		},
	}))
	begun := time.Now()
	for doBriefly(t, p, "SET", "key", "value") != nil {
		if time.Since(begun) > time.Minute {
			t.Fatal("a connection that cannot be opened holds up all others")
		}
	}
}

func TestGoRedisOfAClientThatIsClosedSaysSo(t *testing.T) {
	for _, connected := range []bool{false, true} {
		client := goredisv9.NewClient(&goredisv9.Options{Addr: miniredis.RunT(t).Addr()})
		p := goredis.New(client)
		if connected {
			if _, err := p.Do(t.Context(), "ECHO", "text"); err != nil {
				t.Fatal(err)
			}
		}
		_ = client.Close()
		for range 2 {
			_, err := p.Do(t.Context(), "SET", "key", "value")
			if !errors.Is(err, pool.ErrClosed) || !errors.Is(err, pool.ErrNotSent) || !errors.Is(err, goredisv9.ErrClosed) {
				t.Errorf("connected before: %t: got %v", connected, err)
			}
		}
	}
}

func TestGoRedisNamesThePoolOfAClientThatHasNoFreeConnection(t *testing.T) {
	clients := map[string]goredisv9.Options{
		"until the deadline":         {PoolSize: 1},
		"for PoolTimeout":            {PoolSize: 1, PoolTimeout: brief / 10},
		"and MaxActiveConns forbids": {PoolSize: 4, MaxActiveConns: 1},
	}
	for name, opts := range clients {
		t.Run(name, func(t *testing.T) {
			opts.Addr = miniredis.RunT(t).Addr()
			client := newGoRedisClient(t, &opts)
			p := goredis.New(client)
			for _, warm := range []bool{false, true} {
				if warm {
					if _, err := p.Do(t.Context(), "ECHO", "text"); err != nil {
						t.Fatal(err)
					}
				}
				held := client.Conn() // by another caller
				if err := held.Ping(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				err := doBriefly(t, p, "SET", "key", "value")
				if !errors.Is(err, pool.ErrNoConn) || !errors.Is(err, pool.ErrNotSent) || !strings.Contains(err.Error(), "PoolSize") {
					t.Errorf("connected before: %t: got %v", warm, err)
				}
				_ = held.Close()
				if _, err := p.Do(t.Context(), "ECHO", "text"); err != nil {
					t.Errorf("when it is free again: %v", err)
				}
			}
		})
	}
}

func TestGoRedisDoesNotNameThePoolWhenTheServerIsSilent(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	p := goredis.New(newGoRedisClient(t, &goredisv9.Options{Addr: server.Addr(), PoolSize: 1}))
	if _, err := p.Do(t.Context(), "ECHO", "text"); err != nil {
		t.Fatal(err)
	}
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Thaw() }()
	back := make(chan error)
	for range 4 {
		go func() { back <- doBriefly(t, p, "ECHO", "without a server") }()
	}
	for range 4 {
		if err := <-back; errors.Is(err, pool.ErrNoConn) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
}

func TestGoRedisSaysWhyNoConnectionCouldBeOpened(t *testing.T) {
	whys := map[string]error{
		"refused":      &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")},
		"unknown host": &net.DNSError{Err: "no such host", Name: "redis-1", IsNotFound: true},
		"certificate":  x509.UnknownAuthorityError{},
	}
	for name, why := range whys {
		t.Run(name, func(t *testing.T) {
			var dials atomic.Int32
			p := goredis.New(newGoRedisClient(t, &goredisv9.Options{
				PoolSize:           100,       // go-redis says why without help after that many
				DialerRetryTimeout: brief / 2, // the five take longer than a command
				Dialer: func(context.Context, string, string) (net.Conn, error) {
					dials.Add(1)
					return nil, why
				},
			}))
			for dials.Load() < 5 {
				if err := doBriefly(t, p, "SET", "key", "value"); !errors.Is(err, pool.ErrNotSent) {
					t.Fatalf("got %v", err)
				}
			}
			var err error
			for range 10 { // the last of the five may just be on its way
				if err = doBriefly(t, p, "SET", "key", "value"); errors.Is(err, why) {
					return
				}
			}
			t.Errorf("got %v", err)
		})
	}
}

func TestGoRedisShowsWhatAServerWithTooManyClientsSays(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	p := goredis.New(newGoRedisClient(t, &goredisv9.Options{Addr: server.Addr()}))
	if _, err := server.Do("CONFIG", "SET", "maxclients", "2"); err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	for len(held) < 2 { // the connection that set it may still be there
		conn, err := net.Dial("tcp", server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("PING\r\n")); err != nil {
			continue
		}
		if line, _ := bufio.NewReader(conn).ReadString('\n'); line == "+PONG\r\n" {
			held = append(held, conn)
		}
	}
	_, err := p.Do(t.Context(), "SET", "key", "value")
	var refusal pool.Error
	if !errors.As(err, &refusal) || !strings.HasPrefix(string(refusal), "ERR max number of clients") || !errors.Is(err, pool.ErrNotSent) {
		t.Errorf("got %v", err)
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	for begun := time.Now(); ; {
		if _, err := p.Do(t.Context(), "SET", "key", "value"); err == nil {
			break
		} else if time.Since(begun) > time.Minute {
			t.Fatal(err)
		}
	}
}

func TestGoRedisPoolsOnOneClientStandOnTheSame(t *testing.T) {
	first := newGoRedisClient(t, &goredisv9.Options{})
	second := newGoRedisClient(t, &goredisv9.Options{})
	on := func(client *goredisv9.Client, opts ...goredis.Option) any {
		return goredis.New(client, opts...).Backing()
	}
	if on(first) != on(first, goredis.WithName("another")) || on(first) == on(second) || on(first) != any(first) {
		t.Error("the client of a pool is not known")
	}
}

func TestGoRedisOnConnectMayUseTransactions(t *testing.T) {
	server := miniredis.RunT(t)
	p := goredis.New(newGoRedisClient(t, &goredisv9.Options{
		Addr: server.Addr(),
		OnConnect: func(ctx context.Context, conn *goredisv9.Conn) error {
			_, err := conn.TxPipelined(ctx, func(tx goredisv9.Pipeliner) error {
				return tx.Set(ctx, "greeted", "yes", 0).Err()
			})
			return err
		},
	}))
	if reply, err := p.Do(patience(t), "GET", "greeted"); reply != "yes" || err != nil {
		t.Errorf("got %v, %v", reply, err)
	}
}

func TestGoRedisWhatPanicsWhileAConnectionIsOpenedIsAnError(t *testing.T) {
	var calm atomic.Bool
	p := goredis.New(newGoRedisClient(t, &goredisv9.Options{
		Addr: miniredis.RunT(t).Addr(), PoolSize: 2, // go-redis loses one
		OnConnect: func(context.Context, *goredisv9.Conn) error {
			if !calm.Load() {
				panic("not today")
			}
			return nil
		},
	}))
	if _, err := p.Do(patience(t), "PING"); !errors.Is(err, pool.ErrNotSent) || !strings.Contains(err.Error(), "not today") {
		t.Errorf("got %v", err)
	}
	calm.Store(true)
	if reply, err := p.Do(patience(t), "PING"); reply != "PONG" || err != nil {
		t.Errorf("afterwards: %v, %v", reply, err)
	}
}

// A limiter runs on the goroutine of the caller, which may recover.
func TestGoRedisAPanicLeavesTheNextCommandItsConnection(t *testing.T) {
	limiter := &panicking{}
	p := goredis.New(newGoRedisClient(t, &goredisv9.Options{Addr: miniredis.RunT(t).Addr(), PoolSize: 1, Limiter: limiter}))
	if reply, err := p.Do(patience(t), "PING"); reply != "PONG" || err != nil {
		t.Fatalf("%v, %v", reply, err)
	}
	limiter.now.Store(true)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, _ = p.Do(patience(t), "PING")
	}()
	limiter.now.Store(false)
	if err := doBriefly(t, p, "PING"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

type panicking struct{ now atomic.Bool }

func (p *panicking) Allow() error {
	if p.now.Load() {
		panic("not now")
	}
	return nil
}

func (*panicking) ReportResult(error) {}
