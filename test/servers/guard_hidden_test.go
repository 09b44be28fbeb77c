package servers_test

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
)

// Restarts and takeovers that a guard misses which takes it for granted that a server
// was checked by the client that made it know the script. All nodes are one here, so that a node
// that grants what it has forgotten is a second holder.

const hiddenTTL = 2 * time.Second

// A house is some servers and the address, or name, under which one of them is the node.
type house struct {
	*testing.T
	servers servers
	addr    atomic.Value
	guarded bool
}

// locker opens a Locker, and has it take a lock: the node counts, and it knows that the
// node has its script.
func (h *house) locker(db int) *redlock.Locker {
	lib := library{Name: "go-redis", Open: func(t testing.TB, _ string, _ dialFunc) pool.Pool {
		client := redis.NewClient(&redis.Options{Addr: "192.0.2.1:1", DB: db, ConnMaxLifetime: time.Millisecond, Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", h.addr.Load().(string))
		}})
		t.Cleanup(func() { _ = client.Close() })
		return goredis.New(client, goredis.WithName("node"))
	}}
	opts := []redlock.Option{redlock.WithTTL(hiddenTTL)}
	if h.guarded {
		opts = append(opts, redlock.WithRestartGuard(hiddenTTL))
	}
	l := lib.Locker(h.T, []string{"node"}, opts...)
	mustUnlock(h.T, mustLock(h.T, l, "warm"))
	return l
}

func (h *house) must(i int, args ...string) any {
	h.Helper()
	reply, err := h.servers[i].Do(args...)
	if err != nil {
		h.Fatal(args, err)
	}
	return reply
}

// try tries to take a lock until the node itself says something. A connection that a
// restart broke says nothing.
func (h *house) try(l *redlock.Locker, name string) (lock *redlock.Lock, err error) {
	h.Helper()
	eventually(h.T, "the node answers", func() bool {
		lock, err = l.TryLock(context.Background(), name)
		return err == nil || strings.Contains(err.Error(), "GUARD") || strings.Contains(err.Error(), "OOM") || strings.Contains(err.Error(), "READONLY")
	})
	return lock, err
}

// mustRefuse tries to take a lock, which is refused; or which is not, where nothing guards
// restarts, and is given back.
func (h *house) mustRefuse(l *redlock.Locker, name, why string) {
	h.Helper()
	lock, err := h.try(l, name)
	if err == nil && !h.guarded && strings.HasPrefix(why, "GUARD") {
		mustUnlock(h.T, lock)
		return
	}
	wantText(h.T, err, why)
}

// follow makes server i a replica of another one, in sync.
func (h *house) follow(i, master int) {
	host, port, _ := net.SplitHostPort(h.servers[master].Addr())
	h.must(i, "REPLICAOF", host, port)
	eventually(h.T, "it is in sync", func() bool {
		return strings.Contains(h.must(i, "INFO", "replication").(string), "master_link_status:up")
	})
}

// lag cuts a replica off from its master.
func (h *house) lag(i int) { h.must(i, "REPLICAOF", "127.0.0.1", "1") }

// takeOver makes server i the node, as a master.
func (h *house) takeOver(i int) {
	h.must(i, "REPLICAOF", "NO", "ONE")
	h.addr.Store(h.servers[i].Addr())
	time.Sleep(5 * time.Millisecond) // connections end
}

var hidden = map[string]func(h *house) (held *redlock.Lock, second *redlock.Locker){
	"a check that was refused for lack of memory": func(h *house) (*redlock.Lock, *redlock.Locker) {
		first, second := h.locker(0), h.locker(0)
		h.must(0, "SAVE")
		held := mustLock(h.T, first, "job") // which the file does not have
		if err := h.servers[0].Restart(); err != nil {
			h.Fatal(err)
		}
		h.must(0, "CONFIG", "SET", "maxmemory", "1")
		h.mustRefuse(first, "other", "OOM")
		h.must(0, "CONFIG", "SET", "maxmemory", "0")
		return held, second
	},
	"a check in another database": func(h *house) (*redlock.Lock, *redlock.Locker) {
		elsewhere, first, second := h.locker(0), h.locker(1), h.locker(1)
		h.must(0, "SAVE")
		held := mustLock(h.T, first, "job")
		if err := h.servers[0].Restart(); err != nil {
			h.Fatal(err)
		}
		h.mustRefuse(elsewhere, "job", "GUARDQUARANTINE")
		return held, second
	},
	"a replica that was asked before it took over": func(h *house) (*redlock.Lock, *redlock.Locker) {
		first, early, second := h.locker(0), h.locker(0), h.locker(0)
		h.follow(1, 0)
		h.lag(1)
		held := mustLock(h.T, first, "job")
		h.addr.Store(h.servers[1].Addr())
		time.Sleep(5 * time.Millisecond)
		h.mustRefuse(early, "other", "READONLY")
		h.takeOver(1)
		return held, second
	},
	"back to the one that was the master before": func(h *house) (*redlock.Lock, *redlock.Locker) {
		first, second := h.locker(0), h.locker(0)
		h.follow(1, 0)
		h.takeOver(1)
		h.mustRefuse(first, "job", "GUARDQUARANTINE")
		h.follow(0, 1)
		time.Sleep(hiddenTTL + 100*time.Millisecond)
		for _, l := range []*redlock.Locker{first, second} {
			mustUnlock(h.T, mustLock(h.T, l, "warm"))
		}
		h.follow(0, 1)
		h.lag(0)
		held := mustLock(h.T, first, "job")
		h.takeOver(0)
		return held, second
	},
}

func TestTheGuardSeesARestartThatOtherClientsHid(t *testing.T) {
	t.Parallel()
	for name, story := range hidden {
		for what, guarded := range map[string]bool{"guarded": true, "without the guard there are two holders": false} {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				h := &house{T: t, servers: startServers(t, 2, redisproc.Options{Args: []string{"--save", "3600 1000000"}}), guarded: guarded}
				h.addr.Store(h.servers[0].Addr())
				held, second := story(h)
				lock, err := h.try(second, "job")
				left := time.Until(held.Until())
				switch {
				case err != nil && guarded:
					wantText(t, err, "GUARDQUARANTINE")
				case err != nil:
					t.Errorf("the one that is to show what goes wrong says: %v", err)
				case guarded && left > 0:
					t.Errorf("a second holder, %v before the first one's lock ends", left)
				case !guarded && left <= 0:
					t.Errorf("it was slow: the first one's lock has ended %v ago", -left)
				}
				if err == nil {
					_ = lock.Unlock(context.Background())
				}
				_ = held.Unlock(context.Background())
			})
		}
	}
}

// All have to use the same nodes (A4): majorities of two sets need not share one.
func TestOverTwoSetsOfNodesTwoHoldTheLock(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 5, redisproc.Options{})
		first := mustLock(t, lib.Locker(t, all[:3].addrs()), "job")
		second := mustLock(t, lib.Locker(t, all[2:].addrs()), "job")
		if first.Context().Err() != nil || second.Context().Err() != nil {
			t.Error("they do not hold it at the same time")
		}
		mustUnlock(t, first)
		mustUnlock(t, second)
	})
}
