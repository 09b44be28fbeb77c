package adapters_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	goredisv9 "github.com/redis/go-redis/v9"
)

// subscribed returns a subscription that has joined a channel.
func subscribed(t *testing.T, ctx context.Context, p pool.Pool, channel string) pool.Subscription {
	t.Helper()
	s, err := p.(pool.Subscriber).Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Join(channel); err != nil {
		t.Fatal(err)
	}
	wantEvent(t, s, pool.Event{Kind: pool.Joined, Channel: channel})
	return s
}

// wantEvent receives until something was said, which must be want.
func wantEvent(t *testing.T, s pool.Subscription, want pool.Event) {
	t.Helper()
	for {
		e, err := s.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == pool.Other {
			continue
		}
		if e != want {
			t.Fatalf("received %v, want %v", e, want)
		}
		return
	}
}

func TestWhatARealServerPublishesIsReceived(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	onEach(t, func(t *testing.T, open func(target) pool.Pool) {
		p := open(target{network: "tcp", addr: server.Addr()})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s := subscribed(t, ctx, p, "{key}:\r\n")
		wantReply(t, p, int64(1), "PUBLISH", "{key}:\r\n", "\x00\r\n")
		wantEvent(t, s, pool.Event{Kind: pool.Message, Channel: "{key}:\r\n", Message: "\x00\r\n"})
		if err := s.Ping(); err != nil {
			t.Error(err)
		}
		if e, err := s.Receive(); err != nil || e.Kind != pool.Other {
			t.Errorf("after a ping: got %v, %v", e, err)
		}
		if err := s.Leave("{key}:\r\n"); err != nil {
			t.Error(err)
		}
		if e, err := s.Receive(); err != nil || e.Kind != pool.Other {
			t.Errorf("after Leave: got %v, %v", e, err)
		}
		wantReply(t, p, int64(0), "PUBLISH", "{key}:\r\n", "no subscriber")
		cancel()
		if e, err := s.Receive(); !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of the context: got %v, %v", e, err)
		}
		_ = s.Close()
	})
}

func TestAChannelThatAnACLDeniesIsTheServersRefusal(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	if _, err := server.Do("ACL", "SETUSER", "worker", "on", ">"+secret, "~*", "+@all", "resetchannels"); err != nil {
		t.Fatal(err)
	}
	onEach(t, func(t *testing.T, open func(target) pool.Pool) {
		p := open(target{network: "tcp", addr: server.Addr(), user: "worker", password: secret})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s, err := p.(pool.Subscriber).Subscribe(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Join("channel"); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = s.Receive()
		}
		var refusal pool.Error
		if !errors.As(err, &refusal) || !strings.HasPrefix(string(refusal), "NOPERM") {
			t.Errorf("got %v", err)
		}
		cancel()
		_ = s.Close()
	})
}

// The timeouts are shorter than megabytes take, so this is no option set of the suite.
func TestASubscriptionOutlastsTheTimeoutsOfItsClient(t *testing.T) {
	const timeout = 100 * time.Millisecond
	addr := miniredis.RunT(t).Addr()
	connections := &redis.Pool{MaxActive: 2, DialContext: func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", addr, redis.DialReadTimeout(timeout), redis.DialWriteTimeout(timeout))
	}}
	defer connections.Close()
	for name, p := range map[string]pool.Pool{
		"go-redis": goredis.New(newGoRedisClient(t, &goredisv9.Options{Addr: addr, ReadTimeout: timeout, WriteTimeout: timeout})),
		"redigo":   redigo.New(connections),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			s := subscribed(t, ctx, p, "channel")
			publishing := time.AfterFunc(4*timeout, func() { _, _ = p.Do(ctx, "PUBLISH", "channel", "message") })
			defer publishing.Stop()
			wantEvent(t, s, pool.Event{Kind: pool.Message, Channel: "channel", Message: "message"})
			cancel()
			_, _ = s.Receive()
			_ = s.Close()
		})
	}
}

func TestGoRedisSubscriptionsEndWhenTheClientIsClosed(t *testing.T) {
	client := newGoRedisClient(t, &goredisv9.Options{Addr: miniredis.RunT(t).Addr()})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s := subscribed(t, ctx, goredis.New(client), "channel")
	if n := client.PoolStats().PubSubStats.Active; n != 1 {
		t.Errorf("the client counts %d subscriptions, want 1", n)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err := s.Receive(); err == nil {
		t.Errorf("got %v from a client that is closed", e)
	}
	if ctx.Err() != nil {
		t.Error("that took until the context ended")
	}
	cancel()
	_ = s.Close()
}

// timed has the methods of a redigo connection that take a timeout, and none that
// take a context.
type timed struct{ redis.Conn }

func (c timed) DoWithTimeout(timeout time.Duration, name string, args ...any) (any, error) {
	return redis.DoWithTimeout(c.Conn, timeout, name, args...)
}

func (c timed) ReceiveWithTimeout(timeout time.Duration) (any, error) {
	return redis.ReceiveWithTimeout(c.Conn, timeout)
}

func TestRedigoTakesNoConnectionThatCannotBeSparedOrInterrupted(t *testing.T) {
	addr := miniredis.RunT(t).Addr()
	dial := func(ctx context.Context) (redis.Conn, error) { return redis.DialContext(ctx, "tcp", addr) }
	wrapped := func(wrap func(redis.Conn) redis.Conn) *redis.Pool {
		return &redis.Pool{MaxIdle: 1, DialContext: func(ctx context.Context) (redis.Conn, error) {
			conn, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			return wrap(conn), nil
		}}
	}
	for name, connections := range map[string]*redis.Pool{
		"one connection":              {MaxIdle: 1, MaxActive: 1, Wait: true, DialContext: dial},
		"no timeouts and no contexts": wrapped(func(c redis.Conn) redis.Conn { return plain{c} }),
		"contexts only":               wrapped(func(c redis.Conn) redis.Conn { return contextual{c} }),
		"timeouts only":               wrapped(func(c redis.Conn) redis.Conn { return timed{c} }),
	} {
		t.Run(name, func(t *testing.T) {
			defer connections.Close()
			p := redigo.New(connections)
			_, err := p.Subscribe(t.Context())
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Fatalf("got %v", err)
			}
			if connections.MaxActive == 1 && !strings.Contains(err.Error(), "MaxActive") {
				t.Errorf("%q does not say what to change", err)
			}
			wantReply(t, p, "PONG", "PING")
			if n := connections.ActiveCount(); n != 1 {
				t.Errorf("%d connections are open, one would do", n)
			}
		})
	}
}

func TestARedigoPoolLendsOneConnectionForAllSubscriptionsAndGetsItBack(t *testing.T) {
	addr := miniredis.RunT(t).Addr()
	connections := &redis.Pool{MaxIdle: 3, MaxActive: 3, DialContext: func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", addr)
	}}
	defer connections.Close()
	one, another := redigo.New(connections), redigo.New(connections)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		s := subscribed(t, ctx, one, "channel")
		for _, p := range []*redigo.Pool{one, another} {
			if _, err := p.Subscribe(ctx); err == nil || errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "MaxActive") {
				t.Errorf("a second one: got %v", err)
			}
		}
		if n := connections.ActiveCount(); n != 1 {
			t.Errorf("%d connections are in use for listening, want 1", n)
		}
		cancel()
		_, _ = s.Receive()
		_ = s.Close()
		if n := connections.ActiveCount(); n != 0 {
			t.Errorf("%d connections are in use without a subscription", n)
		}
		one, another = another, one
	}
}

func TestARedigoPoolThatIsFullGetsItsLentConnectionBack(t *testing.T) {
	addr := miniredis.RunT(t).Addr()
	connections := &redis.Pool{MaxIdle: 2, MaxActive: 2, Wait: true, DialContext: func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", addr)
	}}
	defer connections.Close()
	p := redigo.New(connections)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s := subscribed(t, ctx, p, "channel")
	held := connections.Get() // by the service
	defer held.Close()
	brief, cancelBrief := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancelBrief()
	_, err := p.Do(brief, "SET", "key", "value")
	wantError(t, err, pool.ErrNoConn)
	if e, err := s.Receive(); err == nil || ctx.Err() != nil {
		t.Errorf("the subscription goes on: %v, %v", e, err)
	}
	_ = s.Close()
	wantReply(t, p, "OK", "SET", "key", "value")
	if _, err := p.Subscribe(ctx); err == nil || errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "MaxActive") {
		t.Errorf("it is lent again at once: %v", err)
	}
}
