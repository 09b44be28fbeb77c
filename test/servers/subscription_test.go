package servers_test

import (
	"context"
	"errors"
	"fmt"
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

// The subscriptions of waiters must not take the connections that the holder needs
// to keep its lock, and to give it back.
func TestMoreWaitingLockersThanConnectionsLeaveTheHolderItsLock(t *testing.T) {
	t.Parallel()
	all := startServers(t, 3, redisproc.Options{})
	for i, most := range []int{10, 2, 10, 2} {
		wait := i < 2
		t.Run(fmt.Sprintf("MaxActive %d, Wait %t", most, wait), func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprint("job", i)
			var connections []*redis.Pool
			for _, addr := range all.addrs() {
				c := &redis.Pool{MaxIdle: most, MaxActive: most, Wait: wait, DialContext: redigoDial(addr, nil)}
				t.Cleanup(func() { _ = c.Close() })
				connections = append(connections, c)
			}
			locker := func() *redlock.Locker {
				var pools []pool.Pool
				for i, c := range connections {
					// Each has pools of its own, as requests have that make their Locker themselves.
					pools = append(pools, redigo.New(c, redigo.WithName(all[i].Addr())))
				}
				l, err := redlock.New(pools, steady...)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { settle(t, l) })
				return l
			}
			// With WithFair each of the Lockers has a position of its own.
			held := mustLock(t, locker(), name, redlock.WithKeepAlive(), redlock.WithFair())
			begun := held.Until()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var waiters sync.WaitGroup
			for range 12 {
				l := locker()
				waiters.Go(func() {
					lock, err := l.Lock(ctx, name, redlock.WithFair())
					if err != nil {
						t.Error(err)
						return
					}
					unlockSomehow(t, lock)
				})
			}
			for held.Until().Sub(begun) < 8*time.Second && held.Context().Err() == nil {
				time.Sleep(10 * time.Millisecond)
			}
			if err := context.Cause(held.Context()); err != nil {
				t.Errorf("the lock was lost: %v", err)
			}
			unlockSomehow(t, held)
			waiters.Wait()
		})
	}
}

// unlockSomehow gives a lock back though its client may have no connection just now.
func unlockSomehow(t *testing.T, lock *redlock.Lock) {
	t.Helper()
	eventually(t, "the lock is given back", func() bool {
		err := lock.Unlock(context.Background())
		return err == nil || errors.Is(err, redlock.ErrNotHeld)
	})
}

// steady are options with which a lock outlasts the pauses of a busy machine.
var steady = []redlock.Option{redlock.WithTTL(8 * time.Second), redlock.WithNodeTimeout(time.Second)}

func TestALockerForEachRequestCostsTheServersWhatOneLockerDoes(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		const callers = 300
		all := startServers(t, 3, redisproc.Options{})
		holder := lib.Locker(t, all.addrs(), steady...)
		var pools []pool.Pool
		for _, addr := range all.addrs() {
			pools = append(pools, lib.Open(t, addr, nil))
		}
		var connections, commands [2]int
		for round, lockers := range []int{1, callers} {
			held := mustLock(t, holder, "job", redlock.WithKeepAlive())
			all.must(t, "CONFIG", "RESETSTAT")
			var waits []*redlock.Pending
			var l *redlock.Locker
			for i := range callers {
				if i < lockers {
					var err error
					if l, err = redlock.New(pools, steady...); err != nil {
						t.Fatal(err)
					}
					defer settle(t, l)
				}
				waits = append(waits, l.LockAsync(t.Context(), "job"))
			}
			all.mustBeWaitedFor(t, "job")
			time.Sleep(2 * time.Second) // that is what is counted
			for _, s := range all {
				info, err := s.Do("INFO", "clients")
				if err != nil {
					t.Fatal(err)
				}
				var n int
				_, after, _ := strings.Cut(info.(string), "connected_clients:")
				if _, err := fmt.Sscan(after, &n); err != nil {
					t.Fatal(err)
				}
				connections[round] += n
			}
			for _, n := range all.commands(t, "set", "eval", "evalsha") {
				commands[round] += n
			}
			for _, w := range waits {
				w.Cancel()
			}
			mustUnlock(t, held)
			for _, w := range waits {
				<-w.Done()
			}
		}
		t.Logf("one Locker: %d connections, %d commands; %d Lockers: %d and %d", connections[0], commands[0], callers, connections[1], commands[1])
		// How often the retry delay passes in two seconds is random.
		if 10*connections[1] > 13*connections[0]+30 || 10*commands[1] > 13*commands[0]+300 {
			t.Errorf("one Locker: %d connections, %d commands; %d Lockers: %d and %d", connections[0], commands[0], callers, connections[1], commands[1])
		}
	})
}

// With WithFair every Locker waits on a channel of its own.
func TestLockersOfOneProcessSubscribeOnOneConnectionForEachClient(t *testing.T) {
	withEach(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		var pools []pool.Pool
		for _, addr := range all.addrs() {
			pools = append(pools, lib.Open(t, addr, nil))
		}
		held := mustLock(t, lib.Locker(t, all.addrs(), steady...), "job", redlock.WithKeepAlive(), redlock.WithFair())
		var waits []*redlock.Pending
		for range 30 {
			l, err := redlock.New(pools, steady...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { settle(t, l) })
			waits = append(waits, l.LockAsync(t.Context(), "job", redlock.WithFair()))
		}
		for _, s := range all {
			eventually(t, "all listen", func() bool {
				channels, err := s.Do("PUBSUB", "CHANNELS", "{job}:wake:*")
				return err == nil && len(channels.([]any)) == len(waits)
			})
			clients, err := s.Do("CLIENT", "LIST", "TYPE", "pubsub")
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(clients.(string), "addr=") - strings.Count(clients.(string), "laddr="); n != 1 {
				t.Errorf("%d connections listen to %s", n, s.Addr())
			}
		}
		for _, w := range waits {
			w.Cancel()
		}
		mustUnlock(t, held)
	})
}

// A channel that the ACL refuses ends the connection. That is not to happen again and
// again, as long as one waits for a name that it must not listen to.
func TestANameWhoseChannelIsRefusedLeavesWaitersOfOtherNamesTheirSubscription(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		all.must(t, "ACL", "SETUSER", "worker", "on", ">"+secret, "~*", "+@all", "resetchannels", "&{good}:wake*")
		one := lockerAs(t, lib, all.addrs(), "worker", secret, steady...)
		other := lockerAs(t, lib, all.addrs(), "worker", secret, steady...)
		good := mustLock(t, one, "good", redlock.WithKeepAlive())
		bad := mustLock(t, one, "bad", redlock.WithKeepAlive())
		first := other.LockAsync(t.Context(), "bad")
		second := other.LockAsync(t.Context(), "good", patientDelay)
		eventually(t, "the good name is listened to", func() bool { return all.subscribed(t, "good") == 3 })
		eventually(t, "the other one was refused", func() bool { return all.refusedJoins(t) >= 3 })
		const looks = 100
		listening := 0
		for range looks {
			listening += all.subscribed(t, "good")
			time.Sleep(20 * time.Millisecond)
		}
		if listening < looks*len(all)*3/4 {
			t.Errorf("it was subscribed in %d of %d looks", listening, looks*len(all))
		}
		all.mustBeWaitedFor(t, "good")
		mustUnlock(t, good)
		good, err := second.Wait(within20(t))
		if err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, good)
		mustUnlock(t, bad)
		if bad, err = first.Wait(within20(t)); err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, bad)
	})
}

// refusedJoins is how many entries about channels the ACL logs of the servers have.
func (all servers) refusedJoins(t testing.TB) (n int) {
	t.Helper()
	for _, s := range all {
		reply, err := s.Do("ACL", "LOG")
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(fmt.Sprint(reply), "reason channel")
	}
	return n
}

func TestNewRefusesOneClientUnderSeveralNames(t *testing.T) {
	connections := new(redis.Pool)
	client := goredisv9.NewClient(&goredisv9.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	for name, pools := range map[string][]pool.Pool{
		"redigo":   {redigo.New(connections, redigo.WithName("a")), redigo.New(connections, redigo.WithName("b")), redigo.New(connections, redigo.WithName("c"))},
		"go-redis": {goredis.New(client, goredis.WithName("a")), goredis.New(client, goredis.WithName("b"))},
	} {
		if _, err := redlock.New(pools); err == nil || !strings.Contains(err.Error(), `pools 0 ("a") and 1 ("b") stand on one client`) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
