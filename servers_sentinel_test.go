package quorumlock_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
	// New clients are led to the new master from its promotion on, and those that are
	// connected are told when its replicas follow it. The guard covers that if it takes
	// no longer than a lock lives.
	const ttl = 2 * time.Second
	rounds := 1
	if os.Getenv("REDLOCK_LONG") != "" {
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
	join := func(who string) {
		for kind, open := range kinds {
			locker, err := redlock.New([]pool.Pool{open(t)}, redlock.WithTTL(ttl), redlock.WithRestartGuard(ttl))
			if err != nil {
				t.Fatal(err)
			}
			c := new(contender)
			all[kind+", "+who] = c
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
		for who, c := range all {
			before[who] = c.granted.Load()
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			missing := ""
			for who, c := range all {
				if c.granted.Load() < before[who]+5 {
					missing += fmt.Sprintf("\n%s: %v", who, c.last.Load())
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
