package adapters_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	goredisv9 "github.com/redis/go-redis/v9"
)

// hook is a user's hook around commands.
type hook func(next goredisv9.ProcessHook) goredisv9.ProcessHook

func (h hook) ProcessHook(next goredisv9.ProcessHook) goredisv9.ProcessHook { return h(next) }
func (h hook) DialHook(next goredisv9.DialHook) goredisv9.DialHook          { return next }
func (h hook) ProcessPipelineHook(next goredisv9.ProcessPipelineHook) goredisv9.ProcessPipelineHook {
	return next
}

func TestGoRedisRunsTheClientsHooksOnceAroundEveryCommand(t *testing.T) {
	type key struct{}
	var seen []string
	client := newGoRedisClient(t, &goredisv9.Options{Addr: miniredis.RunT(t).Addr()})
	client.AddHook(hook(func(next goredisv9.ProcessHook) goredisv9.ProcessHook {
		return func(ctx context.Context, cmd goredisv9.Cmder) error {
			seen = append(seen, fmt.Sprint("before ", ctx.Value(key{}), " ", cmd.Name(), cmd.Args()))
			err := next(ctx, cmd)
			seen = append(seen, fmt.Sprint("after ", err, cmd.Err()))
			return err
		}
	}))
	p := goredis.New(client)
	value := context.WithValue(t.Context(), key{}, "span")
	for _, timeout := range []time.Duration{time.Second, 10 * time.Second, 0} {
		ctx, cancel := value, context.CancelFunc(func() {})
		if timeout > 0 {
			ctx, cancel = context.WithTimeout(value, timeout)
		}
		seen = nil
		if reply, err := p.Do(ctx, "ECHO", "text"); err != nil || reply != "text" {
			t.Fatalf("got %v, %v", reply, err)
		}
		cancel()
		if got, want := strings.Join(seen, "; "), "before span echo[ECHO text]; after <nil> <nil>"; got != want {
			t.Errorf("with a timeout of %v the hook saw %q, want %q", timeout, got, want)
		}
	}
}

func TestGoRedisTakesNoHooksWordForWhatTheServerSaid(t *testing.T) {
	answers := map[string]hook{
		"drops errors": func(next goredisv9.ProcessHook) goredisv9.ProcessHook {
			return func(ctx context.Context, cmd goredisv9.Cmder) error {
				_ = next(ctx, cmd)
				return nil
			}
		},
		"wraps errors": func(next goredisv9.ProcessHook) goredisv9.ProcessHook {
			return func(ctx context.Context, cmd goredisv9.Cmder) error {
				return fmt.Errorf("hook: %v", next(ctx, cmd))
			}
		},
	}
	for name, h := range answers {
		t.Run(name, func(t *testing.T) {
			server := miniredis.RunT(t)
			client := newGoRedisClient(t, &goredisv9.Options{Addr: server.Addr()})
			client.AddHook(h)
			p := goredis.New(client)
			if reply, err := p.Do(t.Context(), "GET", "no such key"); reply != nil || err != nil {
				t.Errorf("a null became %v, %v", reply, err)
			}
			var refusal pool.Error
			if _, err := p.Do(t.Context(), "NOSUCH"); !errors.As(err, &refusal) || strings.Contains(err.Error(), "hook") {
				t.Errorf("an error of the server became %v", err)
			}
			server.Close()
			if reply, err := p.Do(t.Context(), "SET", "key", "value", "NX", "GET"); err == nil {
				t.Errorf("a server that is gone answered %v", reply)
			}
		})
	}
}

func TestGoRedisACommandThatAHookHoldsBackWasNotSent(t *testing.T) {
	errOpen := errors.New("circuit breaker is open")
	for name, returned := range map[string]error{"with an error": errOpen, "without a word": nil} {
		t.Run(name, func(t *testing.T) {
			server := miniredis.RunT(t)
			client := newGoRedisClient(t, &goredisv9.Options{Addr: server.Addr()})
			client.AddHook(hook(func(goredisv9.ProcessHook) goredisv9.ProcessHook {
				return func(context.Context, goredisv9.Cmder) error { return returned }
			}))
			reply, err := goredis.New(client).Do(t.Context(), "SET", "key", "value")
			if reply != nil || !errors.Is(err, pool.ErrNotSent) || returned != nil && !errors.Is(err, returned) {
				t.Errorf("got %v, %v", reply, err)
			}
			if server.Exists("key") {
				t.Error("it was sent")
			}
		})
	}
}

func TestGoRedisKnowsWhatWasNotSentEvenIfAHookReadsTheArguments(t *testing.T) {
	client := newGoRedisClient(t, &goredisv9.Options{Addr: closedAddr(t)})
	client.AddHook(hook(func(next goredisv9.ProcessHook) goredisv9.ProcessHook {
		return func(ctx context.Context, cmd goredisv9.Cmder) error {
			_ = cmd.Args()
			err := next(ctx, cmd)
			_ = cmd.Args()
			return err
		}
	}))
	_, err := goredis.New(client).Do(t.Context(), "SET", "key", "value")
	var dial *net.OpError
	if !errors.Is(err, pool.ErrNotSent) || !errors.As(err, &dial) || dial.Op != "dial" {
		t.Errorf("got %v", err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := goredis.New(client).Do(t.Context(), "SET", "key", "value"); !errors.Is(err, pool.ErrNotSent) || !errors.Is(err, goredisv9.ErrClosed) {
		t.Errorf("the client is closed, got %v", err)
	}
}

func TestGoRedisSendsNothingLateAndKeepsTheConnectionThatCameLate(t *testing.T) {
	server := miniredis.RunT(t)
	var connections atomic.Int32
	client := newGoRedisClient(t, &goredisv9.Options{
		Addr:        server.Addr(),
		DialTimeout: time.Minute,
		OnConnect: func(context.Context, *goredisv9.Conn) error {
			connections.Add(1)
			time.Sleep(200 * time.Millisecond) // a handshake that takes longer than the caller waits
			return nil
		},
	})
	p := goredis.New(client)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Do(ctx, "SET", "key", "value")
	if !errors.Is(err, pool.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if server.Exists("key") {
		t.Error("the command was sent after its deadline")
	}
	if reply, err := p.Do(t.Context(), "SET", "key", "value"); err != nil || reply != "OK" {
		t.Errorf("the next command got %v, %v", reply, err)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections were made, one would do", n)
	}
}

func TestGoRedisLeavesTheClientAsItWas(t *testing.T) {
	server := miniredis.RunT(t)
	opts := &goredisv9.Options{Addr: server.Addr(), ReadTimeout: time.Second, WriteTimeout: 2 * time.Second, MaxRetries: 2}
	client := newGoRedisClient(t, opts)
	what := func() string {
		o := *client.Options()
		o.Dialer = nil // a function, the only one
		return fmt.Sprintf("%+v", o)
	}
	before := what()
	p := goredis.New(client)
	for timeout := 50 * time.Millisecond; timeout < time.Minute; timeout *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		if _, err := p.Do(ctx, "ECHO", "text"); err != nil && !errors.Is(err, context.DeadlineExceeded) { // the machine may be busy
			t.Fatal(err)
		}
		cancel()
	}
	if after := what(); after != before {
		t.Errorf("options were\n%s\nand are\n%s", before, after)
	}
	if n := client.PoolStats().TotalConns; n != 1 {
		t.Errorf("the client has %d connections, one would do", n)
	}
	if err := client.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Error(err)
	}
}

func TestGoRedisNamesANodeByItsAddressAndDatabase(t *testing.T) {
	names := map[string]*goredisv9.Options{
		"redis-1:6379":      {Addr: "redis-1:6379", Username: "worker", Password: secret},
		"redis-1:6379/2":    {Addr: "redis-1:6379", DB: 2},
		"redis-1:6380":      {Addr: "worker:" + secret + "@redis-1:6380"},
		"[::1]:6379":        {Addr: "[::1]:6379"},
		"/run/redis.sock":   {Addr: "/run/redis.sock"},
		"/run/redis.sock/1": {Network: "unix", Addr: "/run/redis.sock", DB: 1},
		"localhost:6379":    {},
	}
	for want, opts := range names {
		client := newGoRedisClient(t, opts)
		if got := goredis.New(client).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	url, err := goredisv9.ParseURL("rediss://worker:" + secret + "@redis-1:6379/3")
	if err != nil {
		t.Fatal(err)
	}
	if got := goredis.New(newGoRedisClient(t, url)).String(); got != "redis-1:6379/3" {
		t.Errorf("got %q", got)
	}
	failover := goredisv9.NewFailoverClient(&goredisv9.FailoverOptions{MasterName: "mymaster", SentinelAddrs: []string{closedAddr(t)}})
	t.Cleanup(func() { _ = failover.Close() })
	if got := goredis.New(failover, goredis.WithName("mymaster")).String(); got != "mymaster" {
		t.Errorf("got %q", got)
	}
}
