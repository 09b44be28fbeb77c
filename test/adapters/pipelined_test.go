package adapters_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
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
	"github.com/redis/go-redis/v9/auth"
)

// What NewPipelined opens is to be like a connection of the client's own.

// A rotating provider of credentials, of each kind that go-redis knows.
type rotating struct {
	mu        sync.Mutex
	user      string // the password is the same
	listeners []auth.CredentialsListener
}

func (r *rotating) current() (string, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.user, r.user
}

func (r *rotating) Subscribe(l auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	current := auth.NewBasicCredentials(r.current())
	r.mu.Lock()
	r.listeners = append(r.listeners, l)
	r.mu.Unlock()
	l.OnNext(current) // some do it at once
	return current, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range r.listeners {
			if r.listeners[i] == l {
				r.listeners[i] = r.listeners[len(r.listeners)-1]
				r.listeners = r.listeners[:len(r.listeners)-1]
				break
			}
		}
		return nil
	}, nil
}

func (r *rotating) subscribed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.listeners)
}

func (r *rotating) rotate(user string) {
	r.mu.Lock()
	r.user = user
	listeners := append([]auth.CredentialsListener(nil), r.listeners...)
	r.mu.Unlock()
	for _, l := range listeners {
		l.OnNext(auth.NewBasicCredentials(user, user))
	}
}

func TestEveryKindOfCredentialsProviderIsAskedAndMayRotate(t *testing.T) {
	kinds := map[string]func(*goredisv9.Options, *rotating){
		"CredentialsProvider": func(o *goredisv9.Options, r *rotating) { o.CredentialsProvider = r.current },
		"CredentialsProviderContext": func(o *goredisv9.Options, r *rotating) {
			o.CredentialsProviderContext = func(context.Context) (string, string, error) {
				user, password := r.current()
				return user, password, nil
			}
		},
		"StreamingCredentialsProvider": func(o *goredisv9.Options, r *rotating) { o.StreamingCredentialsProvider = r },
	}
	adapters := map[string]func(*testing.T, *goredisv9.Client) pool.Pool{
		"plain":     func(_ *testing.T, c *goredisv9.Client) pool.Pool { return goredis.New(c) },
		"pipelined": func(t *testing.T, c *goredisv9.Client) pool.Pool { return pipelined(t, c) },
	}
	for kind, set := range kinds {
		for adapter, open := range adapters {
			t.Run(kind+" "+adapter, func(t *testing.T) {
				server := redisproc.Start(t, redisproc.Options{Args: []string{
					"--user", "default", "on", "nopass", "~*", "&*", "+@all",
					"--user", "first", "on", ">first", "~*", "&*", "+@all",
					"--user", "second", "on", ">second", "~*", "&*", "+@all",
				}})
				r := &rotating{user: "first"}
				opts := &goredisv9.Options{Addr: server.Addr()}
				set(opts, r)
				p := open(t, newGoRedisClient(t, opts))
				await := func(user string) {
					t.Helper()
					ctx := patience(t)
					for {
						got, err := p.Do(ctx, "ACL", "WHOAMI")
						if got == user {
							return
						}
						if ctx.Err() != nil {
							t.Fatalf("the connection is that of %v, %v; want %v", got, err, user)
						}
						time.Sleep(time.Millisecond)
					}
				}
				await("first")
				r.rotate("second")
				if kind != "StreamingCredentialsProvider" { // the others are asked for a new connection
					if _, err := server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"); err != nil {
						t.Fatal(err)
					}
				}
				await("second")
				if closing, ok := p.(*goredis.Pipelined); ok {
					_ = closing.Close()
					if n := r.subscribed(); n != 0 {
						t.Errorf("%d subscriptions to the provider are left", n)
					}
				}
			})
		}
	}
}

// dialHook is a user's hook around dials.
type dialHook func(next goredisv9.DialHook) goredisv9.DialHook

func (h dialHook) DialHook(next goredisv9.DialHook) goredisv9.DialHook          { return h(next) }
func (h dialHook) ProcessHook(next goredisv9.ProcessHook) goredisv9.ProcessHook { return next }
func (h dialHook) ProcessPipelineHook(next goredisv9.ProcessPipelineHook) goredisv9.ProcessPipelineHook {
	return next
}

// masked is a connection that only its other end understands.
type masked struct{ net.Conn }

func flip(b []byte) []byte {
	flipped := make([]byte, len(b))
	for i := range b {
		flipped[i] = b[i] ^ 0x55
	}
	return flipped
}

func (m masked) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	copy(b, flip(b[:n]))
	return n, err
}

func (m masked) Write(b []byte) (int, error) { return m.Conn.Write(flip(b)) }

func TestPipelinedDialsThroughTheClientsDialHooksAsTheClientDoes(t *testing.T) {
	server := miniredis.RunT(t)
	client := newGoRedisClient(t, &goredisv9.Options{Addr: "redis.invalid:6379"})
	p := pipelined(t, client)
	// The first hook is the outermost: it unmasks what the second one masked.
	client.AddHook(dialHook(func(next goredisv9.DialHook) goredisv9.DialHook {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != "redis.invalid:6379" {
				t.Errorf("the first hook was given %s", addr)
			}
			conn, err := next(ctx, network, "hooked")
			return masked{conn}, err
		}
	}))
	client.AddHook(dialHook(func(next goredisv9.DialHook) goredisv9.DialHook {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr != "hooked" {
				t.Errorf("the second hook was given %s", addr)
			}
			conn, err := next(ctx, network, server.Addr())
			return masked{conn}, err
		}
	}))
	if reply, err := p.Do(patience(t), "SET", "key", "value"); reply != "OK" || err != nil {
		t.Fatalf("got %v, %v", reply, err)
	}
	if !server.Exists("key") {
		t.Error("another server was asked")
	}
	if err := client.Get(t.Context(), "key").Err(); err != nil {
		t.Error(err)
	}
}

func TestWhatPanicsWhileAConnectionIsOpenedIsAnError(t *testing.T) {
	p := pipelined(t, newGoRedisClient(t, &goredisv9.Options{
		Addr:                miniredis.RunT(t).Addr(),
		CredentialsProvider: func() (string, string) { panic("no token") },
	}))
	if _, err := p.Do(patience(t), "PING"); !errors.Is(err, pool.ErrNotSent) || !strings.Contains(err.Error(), "no token") {
		t.Errorf("got %v", err)
	}
}

func TestPipelinedASlowCredentialsProviderIsAskedOnceAndItsConnectionServesTheNextCall(t *testing.T) {
	var asked atomic.Int32
	token := make(chan struct{})
	p := pipelined(t, newGoRedisClient(t, &goredisv9.Options{
		Addr: miniredis.RunT(t).Addr(),
		CredentialsProviderContext: func(ctx context.Context) (string, string, error) {
			asked.Add(1)
			select {
			case <-token:
				return "", "", nil
			case <-ctx.Done():
				return "", "", ctx.Err()
			}
		},
	}))
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := p.Do(ctx, "SET", "key", "value")
		cancel()
		if !errors.Is(err, pool.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "credentials") {
			t.Errorf("while the provider is busy: %v", err)
		}
	}
	close(token)
	if reply, err := p.Do(patience(t), "SET", "key", "value"); reply != "OK" || err != nil {
		t.Errorf("got %v, %v", reply, err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
}

func TestPipelinedADialIsBoundedByTheClientsDialTimeoutAndNotByTheCall(t *testing.T) {
	const dialTimeout = 40 * time.Second
	left := make(chan time.Duration, 1)
	p := pipelined(t, newGoRedisClient(t, &goredisv9.Options{
		Addr: miniredis.RunT(t).Addr(), DialTimeout: dialTimeout,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			at, _ := ctx.Deadline()
			left <- time.Until(at)
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := p.Do(ctx, "PING"); err != nil {
		t.Fatal(err)
	}
	if got := <-left; got > dialTimeout || got < dialTimeout/2 {
		t.Errorf("the dial had %v, want %v", got, dialTimeout)
	}
}

func TestPipelinedACallThatEndsWhileDialsFailSaysHow(t *testing.T) {
	files, _ := certificate(t)
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
	}()
	unknown := &net.DNSError{Err: "no such host", Name: "redis.invalid", IsNotFound: true}
	cases := map[string]struct {
		opts *goredisv9.Options
		says func(error) bool
	}{
		"refused": {&goredisv9.Options{Addr: closedAddr(t)}, func(err error) bool {
			dial := new(net.OpError)
			return errors.As(err, &dial) && dial.Op == "dial"
		}},
		"unknown host": {&goredisv9.Options{Addr: "redis.invalid:6379", Dialer: func(context.Context, string, string) (net.Conn, error) { return nil, unknown }},
			func(err error) bool { return errors.Is(err, unknown) }},
		"certificate": {&goredisv9.Options{Addr: listener.Addr().String(), TLSConfig: &tls.Config{}}, func(err error) bool {
			return errors.As(err, new(x509.UnknownAuthorityError))
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			slow := make(chan struct{})
			var dials atomic.Int32
			client := newGoRedisClient(t, c.opts)
			dial := client.Options().Dialer
			c.opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if dials.Add(1) == 2 {
					select { // the second takes longer than any caller waits
					case <-slow:
					case <-ctx.Done():
					}
				}
				return dial(ctx, network, addr)
			}
			p := pipelined(t, newGoRedisClient(t, c.opts))
			for dials.Load() < 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
				_, err := p.Do(ctx, "PING")
				if dials.Load() == 1 && errors.Is(err, context.DeadlineExceeded) { // nothing has failed yet
					cancel()
					continue
				}
				if !errors.Is(err, pool.ErrNotSent) || !c.says(err) {
					t.Fatalf("in dial %d: %v", dials.Load(), err)
				}
				if dials.Load() == 2 && errors.Is(err, context.DeadlineExceeded) {
					cancel()
					return
				}
				cancel()
			}
			t.Error("no call ended during a dial")
		})
	}
}

func TestPipelinedErrorsSayThatTheClientOrThePoolIsClosed(t *testing.T) {
	server := miniredis.RunT(t)
	client := newGoRedisClient(t, &goredisv9.Options{Addr: server.Addr()})
	p := pipelined(t, client)
	if _, err := p.Do(patience(t), "SET", "key", "value"); err != nil {
		t.Fatal(err)
	}
	wantClosed := func(what string, p pool.Pool) {
		t.Helper()
		if _, err := p.Do(patience(t), "PING"); !errors.Is(err, pool.ErrClosed) || !errors.Is(err, pool.ErrNotSent) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	fresh := pipelined(t, client)
	wantClosed("the client", fresh)
	wantClosed("the client, again", fresh)
	if n := server.TotalConnectionCount(); n != 1 {
		t.Errorf("%d connections were opened, want the first one only", n)
	}
	_ = p.Close()
	wantClosed("the pool", p)
}

func TestPoolsOnOneGoRedisClientStandOnIt(t *testing.T) {
	client := newGoRedisClient(t, &goredisv9.Options{Addr: "redis-1:6379"})
	if got := pipelined(t, client).Backing(); got != client {
		t.Errorf("got %v", got)
	}
}

func TestPipelinedLeavesTheClientAsItWas(t *testing.T) {
	client := newGoRedisClient(t, &goredisv9.Options{Addr: miniredis.RunT(t).Addr()})
	p := pipelined(t, client)
	if _, err := p.Do(patience(t), "PING"); err != nil {
		t.Fatal(err)
	}
	if s := client.PoolStats(); s.TotalConns != 0 || s.Misses != 0 || s.Timeouts != 0 || s.PendingRequests != 0 {
		t.Errorf("the client's pool was used: %+v", s)
	}
}
