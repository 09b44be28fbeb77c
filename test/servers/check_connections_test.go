package servers_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/gomodule/redigo/redis"
	goredisv9 "github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
)

// balancer gives each connection to the next of the servers.
func (all servers) balancer(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var next atomic.Int64
	go func() { // ends when the listener is closed
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends when either side closes
				defer conn.Close()
				server, err := net.Dial("tcp", all[int(next.Add(1))%len(all)].Addr())
				if err != nil {
					return
				}
				defer server.Close()
				go func() { _, _ = io.Copy(server, conn); _ = server.Close() }() // ends when the client closes
				_, _ = io.Copy(conn, server)
			}()
		}
	}()
	return l.Addr().String()
}

// Both grant the same lock, on one connection or the next.
func TestCheckSeesTwoMastersBehindOneAddress(t *testing.T) {
	t.Parallel()
	all := startServers(t, 4, durable)
	for _, lib := range []library{viaGoRedis, viaRedigo} {
		t.Run(lib.Name, func(t *testing.T) {
			t.Parallel()
			addr := all[:2].balancer(t)
			found := check(t, lib.Locker(t, append([]string{addr}, all[2:].addrs()...)))
			found = slices.DeleteFunc(found, func(f redlock.Finding) bool { return f.Check != "run id" })
			wantFound(t, found, redlock.SeverityError, "run id", addr, "2 different servers", "endangers exclusion", "not of a balancer")
		})
	}
}

// Two services that share a client, or one that sends SELECT on a connection of a pool,
// lock in different databases.
func TestCheckSeesTheDatabaseThatConnectionsAreIn(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1, durable)
	addr := all[0].Addr()
	ctx := context.Background()
	lockerOf := func(client *goredisv9.Client, opts ...goredis.Option) *redlock.Locker {
		t.Helper()
		locker, err := redlock.New([]pool.Pool{goredis.New(client, opts...)}, patient)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = locker.Close(ctx) })
		return locker
	}

	selected := newGoRedisClient(t, &goredisv9.Options{Addr: addr})
	conn := selected.Conn()
	if err := conn.Select(ctx, 5).Err(); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close() // back into the pool
	wantFound(t, check(t, lockerOf(selected)), redlock.SeverityError, "database", addr, "different databases: 0, 5", "exclusion", "SELECT")

	elsewhere := newGoRedisClient(t, &goredisv9.Options{Addr: addr, DB: 2, OnConnect: func(ctx context.Context, c *goredisv9.Conn) error { return c.Select(ctx, 5).Err() }})
	wantFound(t, check(t, lockerOf(elsewhere)), redlock.SeverityError, "database", addr+"/2", "in database 5, and its name says 2", "with database 2")

	right := newGoRedisClient(t, &goredisv9.Options{Addr: addr, DB: 2})
	if found := check(t, lockerOf(right)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	wantFound(t, check(t, lockerOf(right, goredis.WithName("r1"))), redlock.SeverityNote, "database", "r1", "in database 2", "not known")
}

// A client with few connections is no fault of the server, and a check gets by with one.
func TestCheckGetsByWithTheConnectionsThatThereAre(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1, durable)
	for _, waits := range []bool{false, true} {
		for n := 1; n <= 4; n++ {
			t.Run(fmt.Sprint(n, waits), func(t *testing.T) {
				t.Parallel()
				connections := &redis.Pool{DialContext: redigoDial(all[0].Addr(), nil), MaxActive: n, MaxIdle: n, Wait: waits}
				t.Cleanup(func() { _ = connections.Close() })
				locker, err := redlock.New([]pool.Pool{redigo.New(connections, redigo.WithName(all[0].Addr()))}, patient)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = locker.Close(context.Background()) })
				for _, f := range check(t, locker) {
					if f.Check != "pubsub" || n > 1 { // a subscription needs one of its own
						t.Errorf("%v", f)
					}
				}
			})
		}
	}
}
