package servers_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
	goredisv9 "github.com/redis/go-redis/v9"
)

// Connections that were idle and were closed meanwhile: by the servers, or by a balancer
// on the way. Most clients find that out with the next command.

// A fleet is three servers, and what ends the idle connections to them.
type fleet struct {
	servers
	addrs  []string // of what clients connect to
	tls    *tls.Config
	endAll func(t *testing.T)
}

// killing has the servers close all connections, as their timeout does.
func killing(t *testing.T) *fleet {
	f := &fleet{servers: startServers(t, 3, redisproc.Options{})}
	f.addrs = f.servers.addrs()
	f.endAll = func(t *testing.T) { f.must(t, "CLIENT", "KILL", "TYPE", "normal") }
	return f
}

func killingTLS(t *testing.T) *fleet {
	files, trusted := certificate(t)
	f := &fleet{tls: &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}}
	for range 3 {
		addr := closedAddr(t)
		_, port, _ := net.SplitHostPort(addr)
		f.servers = append(f.servers, redisproc.Start(t, redisproc.Options{Args: []string{
			"--tls-port", port, "--tls-cert-file", files.Cert, "--tls-key-file", files.Key,
			"--tls-ca-cert-file", files.Cert, "--tls-auth-clients", "no",
		}}))
		f.addrs = append(f.addrs, addr)
	}
	f.endAll = func(t *testing.T) { f.must(t, "CLIENT", "KILL", "TYPE", "normal") }
	return f
}

// balanced has a balancer on the way that closes idle connections after 200 ms: HAProxy,
// or something like it where that is not installed.
func balanced(t *testing.T) *fleet {
	f := &fleet{servers: startServers(t, 3, redisproc.Options{})}
	for _, to := range f.servers.addrs() {
		f.addrs = append(f.addrs, balance(t, to))
	}
	f.endAll = func(t *testing.T) {
		for _, s := range f.servers {
			eventually(t, "the balancer closed the connections", func() bool {
				clients, err := s.Do("CLIENT", "LIST", "TYPE", "normal")
				return err == nil && strings.Count(clients.(string), "\n") == 1 // that of Do
			})
		}
	}
	return f
}

func balance(t *testing.T, to string) (addr string) {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		return idleCutter(t, to)
	}
	addr = closedAddr(t)
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf("defaults\n mode tcp\n timeout connect 5s\n timeout client 200ms\n timeout server 1m\nlisten redis\n bind %s\n server redis %s\n", addr, to)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon(t, addr, path, "-db", "-f", config)
	return addr
}

// daemon runs a program until the test ends, and waits until it listens on addr.
func daemon(t *testing.T, addr, path string, args ...string) {
	t.Helper()
	var output strings.Builder
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("output of %s:\n%s", path, output.String())
		}
	})
	eventually(t, path+" listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// idleCutter is a balancer that closes connections on which nothing came for 200 ms.
func idleCutter(t *testing.T, to string) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); open.Wait() })
	open.Go(func() { // ends when the listener is closed
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			open.Go(func() { _, _ = server.(*net.TCPConn).WriteTo(client); _ = client.Close() }) // ends with the one below
			open.Go(func() {                                                                     // ends when the client is idle
				defer server.Close()
				for buffer := make([]byte, 4096); ; {
					_ = client.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
					n, err := client.Read(buffer)
					if err != nil {
						return
					}
					_, _ = server.Write(buffer[:n])
				}
			})
		}
	})
	return listener.Addr().String()
}

// pools reaches the fleet with each client that a service may have.
func (f *fleet) pools(t *testing.T, kind string) (pools []pool.Pool) {
	for _, addr := range f.addrs {
		dial := func(ctx context.Context) (redis.Conn, error) {
			return redis.DialContext(ctx, "tcp", addr, redis.DialUseTLS(f.tls != nil), redis.DialTLSConfig(f.tls))
		}
		switch kind {
		case "go-redis":
			pools = append(pools, goredis.New(newGoRedisClient(t, &goredisv9.Options{Addr: addr, TLSConfig: f.tls})))
		case "redigo": // as in the example of the package
			connections := &redis.Pool{DialContext: dial, MaxIdle: 16}
			t.Cleanup(func() { _ = connections.Close() })
			pools = append(pools, redigo.New(connections, redigo.WithName(addr)))
		case "redigo pipelined":
			p := redigo.NewPipelined(dial, redigo.WithName(addr))
			t.Cleanup(func() { _ = p.Close() })
			pools = append(pools, p)
		}
	}
	return pools
}

func onFleets(t *testing.T, test func(t *testing.T, f *fleet, pools []pool.Pool)) {
	for name, start := range map[string]func(*testing.T) *fleet{"closed by servers": killing, "closed by TLS servers": killingTLS, "closed by a balancer": balanced} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it waits
			f := start(t)
			for _, kind := range []string{"go-redis", "redigo", "redigo pipelined"} {
				t.Run(kind, func(t *testing.T) { test(t, f, f.pools(t, kind)) })
			}
		})
	}
}

func TestPeriodicJobGetsItsLockThoughItsConnectionsWereClosedMeanwhile(t *testing.T) {
	t.Parallel()
	onFleets(t, func(t *testing.T, f *fleet, pools []pool.Pool) {
		// The TTL is what Close waits for at the end.
		locker, err := redlock.New(pools, redlock.WithTTL(3*time.Second), redlock.WithNodeTimeout(1500*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		defer settle(t, locker)
		var warm sync.WaitGroup
		for i := range 10 { // so many connections are idle
			warm.Go(func() { mustUnlock(t, mustLock(t, locker, fmt.Sprint("warm", i))) })
		}
		warm.Wait()
		for i := range 8 {
			f.endAll(t)
			lock, err := locker.TryLock(context.Background(), "job")
			if err != nil {
				t.Fatalf("run %d: %v", i+1, err)
			}
			mustUnlock(t, lock)
		}
	})
}

func TestLongHeldLockIsExtendedAndUnlockedThoughTheConnectionsWereClosedMeanwhile(t *testing.T) {
	t.Parallel()
	onFleets(t, func(t *testing.T, f *fleet, pools []pool.Pool) {
		locker, err := redlock.New(pools, redlock.WithTTL(8*time.Second), redlock.WithNodeTimeout(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		defer settle(t, locker)
		for i := range 3 {
			lock := mustLock(t, locker, fmt.Sprint("long", i))
			f.endAll(t)
			if err := lock.Extend(context.Background()); err != nil {
				t.Errorf("Extend: %v", err)
			}
			f.endAll(t)
			mustUnlock(t, lock)
			if err := lock.Unlock(context.Background()); !errors.Is(err, redlock.ErrNotHeld) {
				t.Errorf("unlocked twice: %v", err)
			}
		}
	})
}

func TestTryLockGetsThroughAPoolFullOfClosedConnections(t *testing.T) {
	t.Parallel()
	f := killingTLS(t)
	const idle = 64
	var pools []pool.Pool
	for _, addr := range f.addrs {
		client := newGoRedisClient(t, &goredisv9.Options{Addr: addr, TLSConfig: f.tls, PoolSize: idle})
		var open []*goredisv9.Conn
		for range idle {
			conn := client.Conn()
			if err := conn.Ping(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			open = append(open, conn)
		}
		for _, conn := range open { // gives it back
			_ = conn.Close()
		}
		pools = append(pools, goredis.New(client))
	}
	locker, err := redlock.New(pools, redlock.WithNodeTimeout(5*time.Second)) // enough to go through all of them on a busy machine
	if err != nil {
		t.Fatal(err)
	}
	f.endAll(t)
	lock, err := locker.TryLock(context.Background(), "job")
	if err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, lock)
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // an unknown outcome is not waited for
	_ = locker.Close(ctx)
}
