package servers_test

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/quorumlock/quorumlock/redlock"
	goredisv9 "github.com/redis/go-redis/v9"
)

func failoverClient(t *testing.T, sentinel *redisproc.Server) *goredisv9.Client {
	client := goredisv9.NewFailoverClient(&goredisv9.FailoverOptions{
		MasterName: redisproc.SentinelMaster, SentinelAddrs: []string{sentinel.Addr()},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// A contender takes a lock again and again, and notes when it is not alone with it.
type contender struct {
	granted atomic.Int64
	last    atomic.Value // the last error
}

// run ends with ctx.
func (c *contender) run(ctx context.Context, t *testing.T, locker *redlock.Locker, name string, holders *atomic.Int64) {
	for ctx.Err() == nil {
		lock, err := locker.TryLock(ctx, name)
		if err != nil {
			c.last.Store(err.Error())
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if lock.Context().Err() == nil {
			if n := holders.Add(1); n > 1 {
				t.Errorf("%d hold %s", n, name)
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-lock.Context().Done():
			}
			holders.Add(-1)
		}
		c.granted.Add(1)
		_ = lock.Unlock(context.WithoutCancel(ctx)) // the master may be another by now
	}
}

// A Sentinel that was asked for a fail-over announces the new master at once, while the
// old one takes writes for ten seconds more.
//
// Ten fail-overs with REDLOCK_LONG set, one without.
func TestPlannedFailOversMakeNoTwoHolders(t *testing.T) {
	t.Parallel()
	// New clients are led to the new master from its promotion on, and connected
	// clients when its replicas follow it. The guard covers that if it takes
	// no longer than a lock lives.
	const ttl = 2 * time.Second
	rounds := 1
	if long() {
		rounds = 10
	}
	master := redisproc.Start(t, redisproc.Options{})
	master.StartReplica(t, redisproc.Options{})
	sentinel := master.StartSentinel(t, 1, redisproc.Options{})

	kinds := map[string]func(*testing.T) pool.Pool{
		"plain": func(t *testing.T) pool.Pool {
			return goredis.New(failoverClient(t, sentinel), goredis.WithName("master"))
		},
		"pipelined": func(t *testing.T) pool.Pool {
			p := goredis.NewPipelined(failoverClient(t, sentinel), goredis.WithName("master"))
			t.Cleanup(func() { _ = p.Close() })
			return p
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	all := make(map[string]*contender)
	holders := map[string]*atomic.Int64{"plain": {}, "pipelined": {}}
	join := func(name string) {
		for kind, open := range kinds {
			locker, err := redlock.New([]pool.Pool{open(t)}, redlock.WithTTL(ttl), redlock.WithRestartGuard(ttl))
			if err != nil {
				t.Fatal(err)
			}
			c := new(contender)
			all[kind+", "+name] = c
			running.Go(func() {
				c.run(ctx, t, locker, kind, holders[kind])
				_ = locker.Close(context.WithoutCancel(ctx))
			})
		}
	}
	// served returns when all were granted the lock that often, from now on.
	served := func(when string) {
		t.Helper()
		before := make(map[string]int64)
		for name, c := range all {
			before[name] = c.granted.Load()
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			missing := ""
			for name, c := range all {
				if c.granted.Load() < before[name]+5 {
					missing += fmt.Sprintf("\n%s: %v", name, c.last.Load())
				}
			}
			switch {
			case missing == "" || t.Failed():
				return
			case time.Now().After(deadline):
				t.Fatalf("%s: not granted: %s", when, missing)
			}
		}
	}
	join("there from the beginning")
	served("before the first fail-over")
	for round := range rounds {
		addr := sentinel.FailOver(t)
		join(fmt.Sprint("new in round ", round))
		served("with " + addr)
		if t.Failed() {
			return
		}
	}
}

func TestThePipelinedConnectionFollowsAFailOverWhileTheOldMasterIsStillOne(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"with all rights": nil,
		"without WAIT":    {"--user", "default", "on", "nopass", "~*", "&*", "+@all", "-wait"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master := redisproc.Start(t, redisproc.Options{Args: args})
			master.StartReplica(t, redisproc.Options{Args: args})
			sentinel := master.StartSentinel(t, 1, redisproc.Options{})
			client := failoverClient(t, sentinel)
			p := pipelined(t, client)
			ctx := patience(t)
			port := func() any {
				reply, err := p.Do(ctx, "CONFIG", "GET", "port")
				if err != nil {
					return err
				}
				if pairs, ok := reply.([]any); ok && len(pairs) == 2 {
					return "127.0.0.1:" + pairs[1].(string)
				}
				return reply
			}
			if got := port(); got != master.Addr() {
				t.Fatalf("the master is %s, connected to %v", master.Addr(), got)
			}
			addr := sentinel.FailOver(t)
			eventually(t, "the connection is to the new master", func() bool { return port() == addr })
			role, err := master.Do("ROLE")
			if err != nil || role.([]any)[0] != "master" {
				t.Errorf("only when the old one was %v, %v", role, err)
			}
			_ = p.Close()
			eventually(t, "the client has all of its connections", func() bool {
				s := client.PoolStats()
				return s.TotalConns == s.IdleConns
			})
		})
	}
}

func TestPipelinedOverSentinelLeavesAConnectionForTheClient(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]*goredisv9.FailoverOptions{
		"PoolSize 1":       {PoolSize: 1},
		"MaxActiveConns 1": {PoolSize: 2, MaxActiveConns: 1},
	} {
		opts.MasterName, opts.SentinelAddrs = redisproc.SentinelMaster, []string{closedAddr(t)}
		client := goredisv9.NewFailoverClient(opts)
		t.Cleanup(func() { _ = client.Close() })
		if _, err := pipelined(t, client).Do(patience(t), "PING"); !errors.Is(err, pool.ErrNotSent) || !strings.Contains(err.Error(), "set PoolSize to 2 or more") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPipelinedOverSentinelSaysThatTheClientsPoolIsFull(t *testing.T) {
	t.Parallel()
	master := redisproc.Start(t, redisproc.Options{})
	master.StartReplica(t, redisproc.Options{})
	sentinel := master.StartSentinel(t, 1, redisproc.Options{})
	client := goredisv9.NewFailoverClient(&goredisv9.FailoverOptions{
		MasterName: redisproc.SentinelMaster, SentinelAddrs: []string{sentinel.Addr()},
		PoolSize: 2, PoolTimeout: 50 * time.Millisecond,
	})
	t.Cleanup(func() { _ = client.Close() })
	var all []*goredisv9.Conn
	for range 2 {
		conn := client.Conn()
		if err := conn.Ping(patience(t)).Err(); err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	p := pipelined(t, client)
	if _, err := p.Do(patience(t), "PING"); !errors.Is(err, pool.ErrNoConn) || !errors.Is(err, pool.ErrNotSent) {
		t.Errorf("got %v", err)
	}
	for _, conn := range all {
		_ = conn.Close()
	}
	eventually(t, "a connection is free, and the command is sent", func() bool {
		reply, err := p.Do(patience(t), "PING")
		return reply == "PONG" && err == nil
	})
	_ = client.Close() // and with it the witness, and the connection
	eventually(t, "the client is closed", func() bool {
		_, err := p.Do(patience(t), "PING")
		return errors.Is(err, pool.ErrClosed)
	})
}

func TestPipelinedOverSentinelGivesTheWitnessBackWhenNoConnectionOpens(t *testing.T) {
	server := miniredis.RunT(t)
	var refuse atomic.Bool
	client := newGoRedisClient(t, &goredisv9.Options{
		Addr:     "FailoverClient", // as one of Sentinel is called
		PoolSize: 4, DialerRetries: 1,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			if refuse.Load() {
				return nil, errors.New("no more connections")
			}
			return new(net.Dialer).DialContext(ctx, network, server.Addr())
		},
	})
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	p := pipelined(t, client)
	refuse.Store(true)
	if reply, err := p.Do(patience(t), "PING"); err == nil {
		t.Errorf("without a connection: got %v", reply)
	}
	eventually(t, "no connection of the client's pool is in use", func() bool {
		s := client.PoolStats()
		return s.TotalConns == s.IdleConns
	})
}

// A proxy, or a server that is none of Redis's own, may answer WAIT at once.
func TestPipelinedOverSentinelAsksAServerThatDoesNotWaitNoMoreOftenThanOneWithoutWAIT(t *testing.T) {
	server := miniredis.RunT(t) // does
	p := pipelined(t, newGoRedisClient(t, &goredisv9.Options{
		Addr: "FailoverClient", // as one of Sentinel is called
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Addr())
		},
	}))
	if reply, err := p.Do(patience(t), "PING"); reply != "PONG" || err != nil {
		t.Fatalf("got %v, %v", reply, err)
	}
	before := server.CommandCount()
	time.Sleep(time.Second)
	if n := server.CommandCount() - before; n > 100 {
		t.Errorf("%d times in a second", n)
	}
}
