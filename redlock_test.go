package quorumlock_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredisv9 "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
)

// The tests of the whole: the lock, through both client libraries, on several
// masters. Those in redlock_*_test.go use the in-memory masters of the kit,
// those in servers_*_test.go real redis-server processes.

func TestMain(m *testing.M) {
	goredisv9.SetLogger(silence{}) // it reports every dial that was refused, which is what tests are about here
	waitTogether()
	goleak.VerifyTestMain(m)
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// A library is one of the client libraries, with its default options.
type library struct {
	name string
	open func(t testing.TB, addr string, dial dialFunc) pool.Pool
}

// A dialFunc replaces the way to a server; nil is the library's own.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

var (
	viaGoRedis = library{"go-redis", func(t testing.TB, addr string, dial dialFunc) pool.Pool {
		return goredis.New(newGoRedis(t, addr, dial))
	}}
	viaRedigo = library{"redigo", func(t testing.TB, addr string, dial dialFunc) pool.Pool {
		connections := &redis.Pool{DialContext: redigoDial(addr, dial), MaxIdle: 16}
		t.Cleanup(func() { _ = connections.Close() })
		return redigo.New(connections, redigo.WithName(addr))
	}}
	viaPipelinedGoRedis = library{"go-redis pipelined", func(t testing.TB, addr string, dial dialFunc) pool.Pool {
		p := goredis.NewPipelined(newGoRedis(t, addr, dial))
		t.Cleanup(func() { _ = p.Close() })
		return p
	}}
	viaPipelinedRedigo = library{"redigo pipelined", func(t testing.TB, addr string, dial dialFunc) pool.Pool {
		p := redigo.NewPipelined(redigoDial(addr, dial), redigo.WithName(addr))
		t.Cleanup(func() { _ = p.Close() })
		return p
	}}
	libraries = []library{viaGoRedis, viaRedigo, viaPipelinedGoRedis, viaPipelinedRedigo}
)

func newGoRedis(t testing.TB, addr string, dial dialFunc) *goredisv9.Client {
	opts := &goredisv9.Options{Addr: addr, Dialer: dial}
	if dial != nil {
		opts.DialerRetries = 1 // a bubble does not end before a dial that is repeated after Close
		// go-redis holds a mutex while it waits for the answer to this part of
		// its greeting: the time of a bubble would stand still.
		opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
	client := goredisv9.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func redigoDial(addr string, dial dialFunc, opts ...redis.DialOption) func(context.Context) (redis.Conn, error) {
	if dial != nil {
		opts = append(opts, redis.DialContextFunc(dial))
	}
	return func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", addr, opts...)
	}
}

// seed returns the nth seed for a library: none is used with two of them.
func (lib library) seed(n uint64) uint64 {
	own := slices.IndexFunc(libraries, func(l library) bool { return l.name == lib.name })
	return n*uint64(len(libraries)) + uint64(own)
}

// withTwo runs a test whose claim is not about clients with one client of each kind:
// one that answers and one that calls back.
func withTwo(t *testing.T, test func(t *testing.T, lib library)) {
	for _, lib := range []library{viaGoRedis, viaPipelinedRedigo} {
		t.Run(lib.name, func(t *testing.T) { test(t, lib) })
	}
}

// withSome is withTwo, and withEach if there is time.
func withSome(t *testing.T, test func(t *testing.T, lib library)) {
	if long() {
		withEach(t, test)
	} else {
		withTwo(t, test)
	}
}

// withEach runs a test with every library.
func withEach(t *testing.T, test func(t *testing.T, lib library)) {
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) { test(t, lib) })
	}
}

// locker returns a Locker on the masters at addrs. When the test ends, Close
// must find nothing left that it cannot settle: so a test mends its masters.
// That may take one TTL, since the fate of a command that was not answered is
// certain only when its key would have expired.
func (lib library) locker(t testing.TB, addrs []string, opts ...redlock.Option) *redlock.Locker {
	t.Helper()
	locker := lib.newLocker(t, addrs, nil, unhurried(opts)...)
	t.Cleanup(func() { settle(t, locker) })
	return locker
}

// unhurried gives nodes the time to answer that a busy machine needs, unless a test says
// how much they have.
func unhurried(opts []redlock.Option) []redlock.Option {
	return append([]redlock.Option{redlock.WithNodeTimeout(time.Second)}, opts...)
}

func (lib library) newLocker(t testing.TB, addrs []string, dial dialFunc, opts ...redlock.Option) *redlock.Locker {
	t.Helper()
	var pools []pool.Pool
	for _, addr := range addrs {
		pools = append(pools, lib.open(t, addr, dial))
	}
	locker, err := redlock.New(pools, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return locker
}

func settle(t testing.TB, locker *redlock.Locker) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := locker.Close(ctx); err != nil {
		t.Errorf("at the end of the test: %v", err)
	}
}

func mustLock(t testing.TB, l *redlock.Locker, name string, opts ...redlock.LockOption) *redlock.Lock {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	lock, err := l.Lock(ctx, name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

func mustUnlock(t testing.TB, lock *redlock.Lock) {
	t.Helper()
	if err := lock.Unlock(context.Background()); err != nil {
		t.Error(err)
	}
}

func wantError(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("got %v, want an error that matches %q", err, target)
		}
	}
}

// wantText checks that an error says all that a reader needs.
func wantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("the error %q does not say %q", fmt.Sprint(err), part)
		}
	}
}

// eventually waits for what no event tells: the state of a server, or work that
// goes on in the background. The time is a bound, not a claim.
func eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	within(t, 20*time.Second, what, reached)
}

// within is eventually with a time that is a claim.
func within(t testing.TB, d time.Duration, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !reached(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("not after %v: %s", d, what)
			return
		}
	}
}
