package servers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredisv9 "github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// lockerAs returns a Locker that logs in.
func lockerAs(t testing.TB, lib library, addrs []string, user, password string, opts ...redlock.Option) *redlock.Locker {
	t.Helper()
	as := library{Name: lib.Name, Open: func(t testing.TB, addr string, _ dialFunc) pool.Pool {
		client := goredisv9.NewClient(&goredisv9.Options{Addr: addr, Username: user, Password: password})
		t.Cleanup(func() { _ = client.Close() })
		dial := redigoDial(addr, nil, redis.DialUsername(user), redis.DialPassword(password))
		connections := &redis.Pool{MaxIdle: 16, DialContext: dial}
		t.Cleanup(func() { _ = connections.Close() })
		switch lib.Name {
		case viaGoRedis.Name:
			return goredis.New(client)
		case viaRedigo.Name:
			return redigo.New(connections, redigo.WithName(addr))
		case viaPipelinedGoRedis.Name:
			p := goredis.NewPipelined(client)
			t.Cleanup(func() { _ = p.Close() })
			return p
		}
		p := redigo.NewPipelined(dial, redigo.WithName(addr))
		t.Cleanup(func() { _ = p.Close() })
		return p
	}}
	return as.Locker(t, addrs, opts...)
}

// atOnce calls Lock without a deadline: where only an operator can help,
// it must not wait. The bound is generous, a hang is what it excludes.
func atOnce(t testing.TB, locker *redlock.Locker, name string) error {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		_, err := locker.Lock(context.Background(), name)
		result <- err
	}()
	select {
	case err := <-result:
		if err == nil {
			t.Fatal("granted")
		}
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Lock waits for a fault that does not pass")
		return nil
	}
}

func TestANodeOutOfMemoryIsNamedAndTheOthersCarryTheLock(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{Args: []string{"--maxmemory-policy", "noeviction"}})
		locker := lib.Locker(t, all.addrs(), redlock.WithTTL(2*time.Second), redlock.WithNodeTimeout(500*time.Millisecond))
		held := mustLock(t, locker, "held")

		all[:1].must(t, "CONFIG", "SET", "maxmemory", "1")
		lock := mustLock(t, locker, "job")
		eventually(t, "two nodes carry the lock", func() bool { return all.carry("job") == 2 })
		mustUnlock(t, lock)

		all[:2].must(t, "CONFIG", "SET", "maxmemory", "1")
		_, err := locker.TryLock(context.Background(), "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, all[0].Addr(), all[1].Addr(), "OOM", "raise maxmemory")

		// To keep and to release a lock needs no memory.
		if err := held.Extend(context.Background()); err != nil {
			t.Error(err)
		}
		mustUnlock(t, held)
		all[:2].must(t, "CONFIG", "SET", "maxmemory", "0")
		mustUnlock(t, mustLock(t, locker, "job"))
		all.wantEmpty(t)
	})
}

func TestAReadOnlyReplicaIsNoMaster(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		master := startServers(t, 1, redisproc.Options{})[0]
		all[:1].must(t, "REPLICAOF", "127.0.0.1", strconv.Itoa(master.Port))
		locker := lib.Locker(t, all.addrs(), redlock.WithTTL(2*time.Second), redlock.WithNodeTimeout(500*time.Millisecond))
		mustUnlock(t, mustLock(t, locker, "job")) // one of three may be one

		all[:2].must(t, "REPLICAOF", "127.0.0.1", strconv.Itoa(master.Port))
		_, err := locker.TryLock(context.Background(), "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, all[0].Addr(), "READONLY", "a lock needs masters")
		all[:2].must(t, "REPLICAOF", "NO", "ONE")
		mustUnlock(t, mustLock(t, locker, "job"))
	})
}

func TestAWrongPasswordFailsAtOnceAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{Password: "right"})
		wrong := lockerAs(t, lib, all.addrs(), "", "wrong one")
		err := atOnce(t, wrong, "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "node 127.0.0.1:", "WRONGPASS", "check the user name and password")

		none := lib.Locker(t, all.addrs())
		err = atOnce(t, none, "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "NOAUTH", "password")

		right := lockerAs(t, lib, all.addrs(), "", "right")
		mustUnlock(t, mustLock(t, right, "job"))
	})
}

func TestAnACLUserWithoutScriptsTakesNoLockAndTheErrorSaysWhatReleasingNeeds(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		all.must(t, "ACL", "SETUSER", "worker", "on", ">pw", "~*", "+set", "+get")
		locker := lockerAs(t, lib, all.addrs(), "worker", "pw")
		err := atOnce(t, locker, "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "NOPERM", "allow its ACL user", "EVAL and EVALSHA")
		if n := all.carry("job"); n > 0 {
			t.Errorf("%d servers have a lock that no client can release", n)
		}
	})
}

// Where no script runs, servers of today compare by commands of their own: a lock is
// taken, extended, passed on and released by them. Older ones have none.
func TestWhereScriptsAreRefusedNativeCommandsLock(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		all.must(t, "ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all", "-@scripting")
		open := func() *redlock.Locker { return lockerAs(t, lib, all.addrs(), "worker", "pw", patient) }
		one, other := open(), open()
		if !all.compareNatively() {
			err := atOnce(t, one, "job")
			wantError(t, err, redlock.ErrNoQuorum)
			wantText(t, err, "EVAL and EVALSHA")
			if n := all.carry("job"); n > 0 {
				t.Errorf("%d servers have a lock that no client can release", n)
			}
			return
		}
		lock := mustLock(t, one, "job")
		eventually(t, "all servers carry it", func() bool { return all.carry("job") == 3 })
		if err := lock.Extend(within20(t)); err != nil {
			t.Error(err)
		}
		_, err := other.TryLock(within20(t), "job")
		wantError(t, err, redlock.ErrTaken)
		next := other.LockAsync(within20(t), "job")
		mustUnlock(t, lock)
		lock, err = next.Wait(within20(t))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "all servers carry it", func() bool { return all.carry("job") == 3 })

		// What another one has is neither extended nor released.
		all.must(t, "SET", "job", "of another one")
		if err := lock.Extend(within20(t)); !errors.Is(err, redlock.ErrNotHeld) {
			t.Errorf("Extend: %v", err)
		}
		if err := lock.Unlock(within20(t)); !errors.Is(err, redlock.ErrNotHeld) {
			t.Errorf("Unlock: %v", err)
		}
		for _, s := range all {
			if value, err := s.Do("GET", "job"); err != nil || value != "of another one" {
				t.Errorf("%s: %v, %v", s.Addr(), value, err)
			}
			if left, err := s.Do("PTTL", "job"); err != nil || left != int64(-1) {
				t.Errorf("%s: it expires in %v, %v", s.Addr(), left, err)
			}
		}
	})
}

// compareNatively reports whether a server deletes a key only if it has a value.
func (all servers) compareNatively() bool {
	for _, command := range [][]string{{"DELIFEQ", "none", "v"}, {"DELEX", "none", "IFEQ", "v"}} {
		if _, err := all[0].Do(command...); err == nil {
			return true
		}
	}
	return false
}

// The rights that the remedy names are enough, on the lock's keys only.
func TestAnACLUserNeedsNoMoreThanTheDocumentedRights(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		all.must(t, "ACL", "SETUSER", "worker", "on", ">pw", "~lock:*",
			"+set", "+get", "+del", "+pexpire", "+pttl", "+eval", "+evalsha")
		locker := lockerAs(t, lib, all.addrs(), "worker", "pw", redlock.WithPrefix("lock:"))
		lock := mustLock(t, locker, "job")
		if err := lock.Extend(context.Background()); err != nil {
			t.Error(err)
		}
		_, err := locker.TryLock(context.Background(), "job")
		wantError(t, err, redlock.ErrTaken)
		mustUnlock(t, lock)

		elsewhere := lockerAs(t, lib, all.addrs(), "worker", "pw")
		err = atOnce(t, elsewhere, "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "NOPERM", "on the lock's keys")
	})
}

// The lines in SECURITY.md are enough, for waiting and for WithFair too, and with less
// than all of them WithFair says so at once.
func TestTheRightsInSecurityAreEnough(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	var rights [][]string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "ACL SETUSER app ") {
			rights = append(rights, strings.Fields(line))
		}
	}
	_, more, _ := strings.Cut(string(text), "- `RLock` needs `")
	more, _, _ = strings.Cut(more, "`")
	if len(rights) != 3 || more == "" {
		t.Fatalf("%d lines, and %q for readers", len(rights), more)
	}
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		all.must(t, rights[0]...)
		all.must(t, rights[1]...)
		open := func() *redlock.Locker {
			return lockerAs(t, lib, all.addrs(), "app", "secret", redlock.WithPrefix("app:"))
		}
		one, other := open(), open()
		ctx := within20(t)
		handOver := func(opts ...redlock.LockOption) {
			t.Helper()
			lock := mustLock(t, one, "job", opts...)
			next := other.LockAsync(ctx, "job", opts...)
			eventually(t, "the next one listens", func() bool { return all.subscribed(t, "app:job") == 3 })
			mustUnlock(t, lock)
			lock, err := next.Wait(ctx)
			if err != nil {
				t.Fatal(err)
			}
			mustUnlock(t, lock)
		}
		handOver()
		if log, err := all[0].Do("ACL", "LOG"); err != nil || strings.Contains(fmt.Sprint(log), "app:") || strings.Contains(fmt.Sprint(log), "zrange") {
			t.Errorf("the server denied more than it had to: %v, %v", log, err)
		}
		jobs, err := semaphore.New(one, "jobs", 2)
		if err != nil {
			t.Fatal(err)
		}
		takeSlots := func(opts ...redlock.LockOption) {
			t.Helper()
			for range 2 {
				p, err := jobs.Acquire(ctx, opts...)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := p.Release(ctx); err != nil {
						t.Error(err)
					}
				}()
			}
			if _, err := jobs.Acquire(ctx, append(opts, redlock.WithMaxTries(2))...); !errors.Is(err, redlock.ErrTaken) {
				t.Error(err)
			}
		}
		takeSlots()
		begun := time.Now()
		_, err = one.Lock(ctx, "job", redlock.WithFair())
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "SECURITY.md")
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("it took %v to say so", took)
		}
		all.must(t, "ACL", "LOG", "RESET")
		all.must(t, rights[2]...)
		handOver(redlock.WithFair())
		takeSlots(redlock.WithFair())
		all.must(t, append([]string{"ACL", "SETUSER", "app"}, strings.Fields(more)...)...)
		for _, opts := range [][]redlock.LockOption{nil, {redlock.WithFair()}} {
			reader, err := one.RLock(ctx, "job", opts...)
			if err != nil {
				t.Fatal(err)
			}
			writer := other.LockAsync(ctx, "job", opts...)
			eventually(t, "the writer listens", func() bool { return all.subscribed(t, "app:job") == 3 })
			mustUnlock(t, reader)
			lock, err := writer.Wait(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := lock.Downgrade(ctx); err != nil {
				t.Error(err)
			}
			mustUnlock(t, lock)
		}
		if _, err := one.Inspect(ctx, "job"); err != nil {
			t.Error(err)
		}
		for _, s := range all {
			if log, err := s.Do("ACL", "LOG"); err != nil || strings.Contains(fmt.Sprint(log), "app:") {
				t.Errorf("the server denied: %v, %v", log, err)
			}
		}
	})
}

// A refusal counts as "nothing done", so a script that fails must not have set the key.
func TestAScriptThatIsRefusedHalfwayLeavesNoKey(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		all.must(t, "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-zrem")
		holder := lib.Locker(t, all.addrs())
		lock := mustLock(t, holder, "job")
		locker := lockerAs(t, lib, all.addrs(), "app", "secret")
		next := locker.LockAsync(within20(t), "job", redlock.WithFair())
		eventually(t, "it is in the wait queue", func() bool { return len(all.keys(t)) > 6 })
		mustUnlock(t, lock)
		_, err := next.Wait(within20(t))
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "SECURITY.md")
		for i, s := range all {
			if reply, err := s.Do("EXISTS", "job"); err != nil || reply != int64(0) {
				t.Errorf("server %d has the key: %v, %v", i, reply, err)
			}
		}
	})
}

func TestScriptsThatTheServersForgotAreSentAgain(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		locker := lib.Locker(t, all.addrs())
		for range 3 {
			lock := mustLock(t, locker, "job")
			all.must(t, "SCRIPT", "FLUSH")
			if err := lock.Extend(context.Background()); err != nil {
				t.Error(err)
			}
			all.must(t, "SCRIPT", "FLUSH")
			mustUnlock(t, lock)
		}
		all.wantEmpty(t)
	})
}

func TestADataKeyOfTheLocksNameIsReportedAndNotTouched(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		all[:2].must(t, "RPUSH", "job", "precious")
		locker := lib.Locker(t, all.addrs())
		err := atOnce(t, locker, "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "WRONGTYPE", "choose another name or a prefix")
		if errors.Is(err, redlock.ErrTaken) {
			t.Errorf("%v: it has no holder", err)
		}
		all[:2].must(t, "LPOP", "job") // would fail if the list were gone
		mustUnlock(t, mustLock(t, locker, "job"))
	})
}
