package adapters_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/direct"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	goredisv9 "github.com/redis/go-redis/v9"
)

// target is how a real server is reached.
type target struct {
	network, addr  string
	user, password string
	db             int
	tls            *tls.Config
}

// onEach runs a test with every adapter, in each protocol that it speaks.
func onEach(t *testing.T, test func(t *testing.T, open func(target) pool.Pool)) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("go-redis in RESP%d", protocol), func(t *testing.T) {
			test(t, func(to target) pool.Pool {
				return goredis.New(newGoRedisClient(t, &goredisv9.Options{
					Network: to.network, Addr: to.addr, Username: to.user, Password: to.password,
					DB: to.db, TLSConfig: to.tls, Protocol: protocol,
				}))
			})
		})
	}
	t.Run("redigo", func(t *testing.T) {
		test(t, func(to target) pool.Pool {
			opts := []redis.DialOption{
				redis.DialUsername(to.user), redis.DialPassword(to.password), redis.DialDatabase(to.db),
				redis.DialUseTLS(to.tls != nil), redis.DialTLSConfig(to.tls),
			}
			connections := &redis.Pool{
				DialContext: func(ctx context.Context) (redis.Conn, error) {
					return redis.DialContext(ctx, to.network, to.addr, opts...)
				},
				MaxIdle: 4,
			}
			t.Cleanup(func() { _ = connections.Close() })
			return redigo.New(connections, redigo.WithName(to.addr))
		})
	})
	t.Run("direct", func(t *testing.T) {
		test(t, func(to target) pool.Pool {
			opts := []direct.Option{direct.WithPassword(to.user, to.password), direct.WithDatabase(to.db)}
			if to.tls != nil {
				opts = append(opts, direct.WithTLS(to.tls))
			}
			return newDirect(t, to.addr, opts...)
		})
	})
}

// wantReply sends a command that must be answered with want.
func wantReply(t *testing.T, p pool.Pool, want any, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if got, err := p.Do(ctx, args...); err != nil || got != want {
		t.Fatalf("%v: got %#v, %v, want %#v", args, got, err, want)
	}
}

// wantRefusal sends a command that must be refused with an error that begins
// with prefix, and returns the whole error.
func wantRefusal(t *testing.T, p pool.Pool, prefix string, args ...any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	reply, err := p.Do(ctx, args...)
	var refusal pool.Error
	if !errors.As(err, &refusal) || !strings.HasPrefix(string(refusal), prefix) {
		t.Fatalf("%v: got %#v, %v, want the error %s", args, reply, err, prefix)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("%q shows the password", err)
	}
	return err
}

func TestAFrozenRedisCostsAnAdapterItsDeadlineAndNoMore(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	onEach(t, func(t *testing.T, open func(target) pool.Pool) {
		p := open(target{network: "tcp", addr: server.Addr()})
		wantReply(t, p, "PONG", "PING")
		if err := server.Freeze(); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			begun := time.Now()
			_, err := p.Do(ctx, "SET", fmt.Sprint("key", i), "value")
			if took := time.Since(begun); took > time.Second {
				t.Errorf("took %v", took)
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			cancel()
		}
		if err := server.Thaw(); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			wantReply(t, p, fmt.Sprint(i), "ECHO", fmt.Sprint(i))
		}
	})
}

func TestAdaptersReachRedisOverAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	redisproc.Start(t, redisproc.Options{Args: []string{"--unixsocket", path}})
	onEach(t, func(t *testing.T, open func(target) pool.Pool) {
		p := open(target{network: "unix", addr: path, db: 3})
		wantReply(t, p, "OK", "SET", "key", "value", "PX", int64(60_000))
		wantReply(t, p, "value", "GET", "key")
	})
}

func TestAdaptersReachRedisOverTLS(t *testing.T) {
	files, trusted := certificate(t)
	addr := closedAddr(t)
	port := addr[strings.LastIndex(addr, ":")+1:]
	redisproc.Start(t, redisproc.Options{Args: []string{
		"--tls-port", port, "--tls-cert-file", files.Cert, "--tls-key-file", files.Key,
		"--tls-ca-cert-file", files.Cert, "--tls-auth-clients", "no",
	}})
	onEach(t, func(t *testing.T, open func(target) pool.Pool) {
		p := open(target{network: "tcp", addr: addr, tls: &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}})
		wantReply(t, p, "OK", "SET", "key", "value")
		wantReply(t, p, "value", "GET", "key")
		large := strings.Repeat("x", 1<<20)
		wantReply(t, p, large, "ECHO", large)
		if reply, err := open(target{network: "tcp", addr: addr, tls: &tls.Config{ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}}).
			Do(t.Context(), "SET", "key", "value"); !errors.Is(err, pool.ErrNotSent) {
			t.Errorf("a server with a certificate that is not trusted: got %v, %v", reply, err)
		}
	})
}

func TestAnACLUserRunsWhatItMayAndTheRestIsRefused(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	if _, err := server.Do("ACL", "SETUSER", "worker", "on", ">"+secret, "~*", "+@all", "-evalsha", "-eval"); err != nil {
		t.Fatal(err)
	}
	onEach(t, func(t *testing.T, open func(target) pool.Pool) {
		p := open(target{network: "tcp", addr: server.Addr(), user: "worker", password: secret})
		wantReply(t, p, "OK", "SET", "key", "value")
		err := wantRefusal(t, p, "NOPERM", "EVALSHA", strings.Repeat("0", 40), int64(1), "key")
		if errors.Is(err, pool.ErrNotSent) {
			t.Errorf("%v was sent", err)
		}
		if name := p.String(); strings.Contains(name, secret) || strings.Contains(name, "worker") {
			t.Errorf("the name is %q", name)
		}
	})
}

func TestAWrongPasswordIsTheServersRefusalAndNothingWasSent(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{Password: "the right one"})
	onEach(t, func(t *testing.T, open func(target) pool.Pool) {
		wrong := open(target{network: "tcp", addr: server.Addr(), password: secret})
		if err := wantRefusal(t, wrong, "WRONGPASS", "SET", "key", "value"); !errors.Is(err, pool.ErrNotSent) {
			t.Errorf("%v does not say that nothing was sent", err)
		}
		none := open(target{network: "tcp", addr: server.Addr()})
		wantRefusal(t, none, "NOAUTH", "SET", "key", "value")
		right := open(target{network: "tcp", addr: server.Addr(), password: "the right one"})
		wantReply(t, right, nil, "GET", "key")
	})
}

func TestAMissingScriptIsNOSCRIPTAndAMissingDatabaseIsNotSent(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{})
	onEach(t, func(t *testing.T, open func(target) pool.Pool) {
		p := open(target{network: "tcp", addr: server.Addr()})
		wantRefusal(t, p, "NOSCRIPT", "EVALSHA", strings.Repeat("0", 40), int64(0))
		wantReply(t, p, int64(1), "EVAL", "return 1", int64(0))
		nowhere := open(target{network: "tcp", addr: server.Addr(), db: 99})
		if err := wantRefusal(t, nowhere, "ERR", "SET", "key", "value"); !errors.Is(err, pool.ErrNotSent) {
			t.Errorf("%v does not say that nothing was sent", err)
		}
	})
}
