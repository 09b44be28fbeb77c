package fleet_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	redsyncredigo "github.com/go-redsync/redsync/v4/redis/redigo"

	"github.com/quorumlock/quorumlock/redlock"
)

// fleet is two services on the same servers, one with redsync and one with this
// library.
type fleet struct {
	nodes  servers
	theirs *redsync.Redsync
	ours   *redlock.Locker
}

// onBothClients runs a test with both services on go-redis, and with both on
// redigo.
func onBothClients(t *testing.T, test func(*testing.T, fleet)) {
	for _, client := range []string{goRedis, redigoClient} {
		t.Run(client, func(t *testing.T) {
			nodes := startTestServers(t, 3)
			locker, closeLocker, err := newPipelined(client, nodes.addrs())
			if err != nil {
				t.Fatal(err)
			}
			theirs, closeTheirs := newTheirs(client, nodes.addrs())
			t.Cleanup(func() {
				if err := errors.Join(closeLocker(), closeTheirs()); err != nil {
					t.Error(err)
				}
			})
			test(t, fleet{nodes, theirs, locker})
		})
	}
}

func newTheirs(client string, addrs []string) (*redsync.Redsync, func() error) {
	var pools []redsyncpool.Pool
	if client == goRedis {
		clients, closeThem := newGoRedis(addrs)
		for _, c := range clients {
			pools = append(pools, redsyncgoredis.NewPool(c))
		}
		return redsync.New(pools...), closeThem
	}
	sources, closeThem := newRedigo(addrs)
	for _, s := range sources {
		pools = append(pools, redsyncredigo.NewPool(s))
	}
	return redsync.New(pools...), closeThem
}

// values are what the servers hold under the key, "" for nothing.
func (f fleet) values(t *testing.T, key string) []string {
	t.Helper()
	values := make([]string, len(f.nodes))
	for i, s := range f.nodes {
		reply, err := s.Do("GET", key)
		if err != nil {
			t.Fatal(err)
		}
		values[i], _ = reply.(string)
	}
	return values
}

func (f fleet) mustHoldEverywhere(t *testing.T, key, value string) {
	t.Helper()
	for i, v := range f.values(t, key) {
		if v != value {
			t.Errorf("server %d holds %q, want %q", i, v, value)
		}
	}
}

// awaitHeldEverywhere waits for the servers that a majority did not wait for.
func (f fleet) awaitHeldEverywhere(t *testing.T, key string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); slices.Contains(f.values(t, key), ""); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("not every server holds %s", key)
		}
	}
}

// settled waits until nothing of ours is under way in the background.
func (f fleet) settled(t *testing.T) {
	t.Helper()
	if err := f.ours.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALockOfRedsyncIsTakenForUsByAForeignHolder(t *testing.T) {
	onBothClients(t, func(t *testing.T, f fleet) {
		theirs := f.theirs.NewMutex("job")
		if err := theirs.TryLock(); err != nil {
			t.Fatal(err)
		}
		lock, err := f.ours.TryLock(t.Context(), "job")
		if !errors.Is(err, redlock.ErrTaken) {
			t.Fatalf("got %v and %v, want ErrTaken", lock, err)
		}
		if !strings.Contains(err.Error(), "foreign holder #") {
			t.Errorf("the error does not name a foreign holder: %v", err)
		}
		if strings.Contains(err.Error(), theirs.Value()) {
			t.Errorf("the error gives away the value that releases the lock: %v", err)
		}
		f.settled(t)
		f.mustHoldEverywhere(t, "job", theirs.Value())
		if ok, err := theirs.Unlock(); !ok || err != nil {
			t.Errorf("redsync could not unlock what it held: %v, %v", ok, err)
		}
	})
}

func TestOurLockIsTakenForRedsyncAndItsRollbackLeavesOursAlone(t *testing.T) {
	onBothClients(t, func(t *testing.T, f fleet) {
		lock, err := f.ours.TryLock(t.Context(), "job")
		if err != nil {
			t.Fatal(err)
		}
		var taken *redsync.ErrTaken
		if err := f.theirs.NewMutex("job").TryLock(); !errors.As(err, &taken) {
			t.Errorf("redsync got %v, want its ErrTaken", err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Errorf("the lock was not ours any more: %v", err)
		}
	})
}

func TestAfterAReleaseEachCanTakeTheLock(t *testing.T) {
	onBothClients(t, func(t *testing.T, f fleet) {
		theirs := f.theirs.NewMutex("job")
		for range 3 {
			// A majority is enough for Unlock, so a server may still hold the
			// lock when the other side comes: both try again then.
			lock, err := f.ours.Lock(t.Context(), "job", redlock.WithMaxTries(20))
			if err != nil {
				t.Fatalf("after redsync's release: %v", err)
			}
			if err := lock.Unlock(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := theirs.Lock(); err != nil {
				t.Fatalf("after our release: %v", err)
			}
			if ok, err := theirs.Unlock(); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		f.settled(t)
		f.mustHoldEverywhere(t, "job", "")
	})
}

func TestUnlockOfALockThatRedsyncHasMeanwhileLeavesItAlone(t *testing.T) {
	onBothClients(t, func(t *testing.T, f fleet) {
		lock, err := f.ours.TryLock(t.Context(), "job")
		if err != nil {
			t.Fatal(err)
		}
		f.awaitHeldEverywhere(t, "job")         // or a late SET of ours would follow the flush
		if err := f.nodes.flush(); err != nil { // as if our keys had expired
			t.Fatal(err)
		}
		theirs := f.theirs.NewMutex("job")
		if err := theirs.TryLock(); err != nil {
			t.Fatal(err)
		}
		if err := lock.Unlock(context.Background()); !errors.Is(err, redlock.ErrNotHeld) {
			t.Errorf("Unlock returned %v, want ErrNotHeld", err)
		}
		f.settled(t)
		f.mustHoldEverywhere(t, "job", theirs.Value())
	})
}

func TestUnlockByRedsyncOfALockThatWeHaveMeanwhileLeavesItAlone(t *testing.T) {
	onBothClients(t, func(t *testing.T, f fleet) {
		theirs := f.theirs.NewMutex("job")
		if err := theirs.TryLock(); err != nil {
			t.Fatal(err)
		}
		if err := f.nodes.flush(); err != nil {
			t.Fatal(err)
		}
		lock, err := f.ours.TryLock(t.Context(), "job")
		if err != nil {
			t.Fatal(err)
		}
		if ok, _ := theirs.Unlock(); ok {
			t.Error("redsync unlocked what it did not hold")
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Errorf("the lock was not ours any more: %v", err)
		}
	})
}
