package adapters_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
	goredisv9 "github.com/redis/go-redis/v9"
)

// prefixKeys is a hook that writes a prefix before keys, as services do that share a
// server.
func prefixKeys(prefix string) hook {
	return func(next goredisv9.ProcessHook) goredisv9.ProcessHook {
		return func(ctx context.Context, cmd goredisv9.Cmder) error {
			args := cmd.Args()
			first, keys := 1, 1
			if name := strings.ToUpper(fmt.Sprint(args[0])); name == "EVAL" || name == "EVALSHA" {
				first = 3
				_, _ = fmt.Sscan(fmt.Sprint(args[2]), &keys)
			}
			for i := range keys {
				if key, ok := args[first+i].(string); ok {
					args[first+i] = prefix + key
				}
			}
			return next(ctx, cmd)
		}
	}
}

func TestGoRedisRefusesACommandThatAHookChangedAndSendsNothing(t *testing.T) {
	cluster := redlocktest.New(t, 1)
	client := newGoRedisClient(t, &goredisv9.Options{Addr: cluster.Node(0).Addr()})
	client.AddHook(prefixKeys("svc:"))
	args := []any{"SET", "key", "value"}
	reply, err := goredis.New(client).Do(t.Context(), args...)
	if reply != nil || !errors.Is(err, pool.ErrNotSent) || !strings.Contains(err.Error(), "redlock.WithPrefix") {
		t.Errorf("got %v, %v", reply, err)
	}
	if got := fmt.Sprint(args); got != "[SET key value]" {
		t.Errorf("the caller's arguments are now %s", got)
	}
	if n := cluster.Node(0).Stats().Commands; n != 0 {
		t.Errorf("the server got %d commands", n)
	}
}

func TestTwoLockersWhoseHooksChangeKeysNeverBothHoldALock(t *testing.T) {
	cluster := redlocktest.New(t, 3)
	locker := func() *redlock.Locker {
		var pools []pool.Pool
		for _, addr := range cluster.Addrs() {
			client := newGoRedisClient(t, &goredisv9.Options{Addr: addr})
			client.AddHook(prefixKeys("svc:"))
			pools = append(pools, goredis.New(client))
		}
		l, err := redlock.New(pools)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close(context.Background()) })
		return l
	}
	first, second := locker(), locker()
	for i := range 100 {
		name := fmt.Sprint("job ", i)
		a, errA := first.TryLock(t.Context(), name)
		b, errB := second.TryLock(t.Context(), name)
		if errA == nil && errB == nil {
			t.Fatalf("%s: both hold it, on %v", name, [2]*redlock.Lock{a, b})
		}
		for _, err := range []error{errA, errB} {
			if err == nil || !strings.Contains(err.Error(), "redlock.WithPrefix") {
				t.Fatalf("%s: got %v, which names no remedy", name, err)
			}
		}
	}
}

// unreliable is a connection that breaks when a reply is there, once losing is set.
type unreliable struct {
	net.Conn
	losing *atomic.Bool
}

func (c unreliable) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.losing.CompareAndSwap(true, false) {
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}

func TestUnlockWhoseReplyIsLostIsNotDeniedThoughAHookRepeatsCommands(t *testing.T) {
	var losing atomic.Bool
	client := newGoRedisClient(t, &goredisv9.Options{
		Addr: redlocktest.New(t, 1).Node(0).Addr(),
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return unreliable{conn, &losing}, err
		},
	})
	client.AddHook(hook(func(next goredisv9.ProcessHook) goredisv9.ProcessHook {
		return func(ctx context.Context, cmd goredisv9.Cmder) error {
			err := next(ctx, cmd)
			if err != nil && !errors.Is(err, goredisv9.Nil) {
				return next(ctx, cmd)
			}
			return err
		}
	}))
	l, err := redlock.New([]pool.Pool{goredis.New(client)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	lock, err := l.Lock(t.Context(), "job")
	if err != nil {
		t.Fatal(err)
	}
	losing.Store(true)
	if err := lock.Unlock(t.Context()); errors.Is(err, redlock.ErrNotHeld) {
		t.Errorf("it was released, and Unlock says %v", err)
	}
	if losing.Load() {
		t.Error("no reply was lost")
	}
}
