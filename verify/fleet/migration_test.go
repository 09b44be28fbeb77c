package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
)

// billWithRedsync and bill are one program, before and after: docs/migration.md shows
// both. It may say that it was not its turn, and it must stop when the lock is lost.
func billWithRedsync(ctx context.Context, clients []*redis.Client, write func(ctx context.Context) error) error {
	var pools []redsyncpool.Pool
	for _, client := range clients {
		pools = append(pools, redsyncgoredis.NewPool(client))
	}
	rs := redsync.New(pools...)

	mutex := rs.NewMutex("billing", redsync.WithExpiry(10*time.Second), redsync.WithTries(3))
	if err := mutex.LockContext(ctx); err != nil {
		var taken *redsync.ErrTaken
		if errors.As(err, &taken) || errors.Is(err, redsync.ErrFailed) {
			return errNotNow
		}
		return err
	}
	defer mutex.Unlock()
	stop := make(chan struct{})
	defer close(stop)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Second):
				if ok, err := mutex.ExtendContext(ctx); !ok || err != nil {
					cancel()
					return
				}
			}
		}
	}()
	return write(ctx)
}

func bill(ctx context.Context, clients []*redis.Client, write func(ctx context.Context) error) error {
	var pools []pool.Pool
	for _, client := range clients {
		pools = append(pools, goredis.New(client))
	}
	locker, err := redlock.New(pools)
	if err != nil {
		return err
	}
	defer locker.Close(ctx)

	err = locker.Do(ctx, "billing", write, redlock.WithTTL(10*time.Second), redlock.WithMaxTries(3))
	if errors.Is(err, redlock.ErrTaken) {
		return errNotNow
	}
	return err
}

var errNotNow = errors.New("another one is billing")

func TestTheProgramOfTheMigrationPageDoesTheSameInBothForms(t *testing.T) {
	nodes := startTestServers(t, 3)
	clients, closeClients := newGoRedis(nodes.addrs())
	defer func() {
		if err := closeClients(); err != nil {
			t.Error(err)
		}
	}()
	forms := map[string]func(context.Context, []*redis.Client, func(context.Context) error) error{"redsync": billWithRedsync, "quorumlock": bill}
	failed := errors.New("the printer is out of paper")
	for name, form := range forms {
		for other, second := range forms {
			err := form(t.Context(), clients, func(ctx context.Context) error {
				err := second(ctx, clients, func(context.Context) error {
					t.Errorf("%s beside %s: both bill", other, name)
					return nil
				})
				if !errors.Is(err, errNotNow) {
					t.Errorf("%s beside %s: %v, want that it is not its turn", other, name, err)
				}
				return failed
			})
			if !errors.Is(err, failed) {
				t.Errorf("%s: %v, want the error of the work", name, err)
			}
		}
	}
}

func TestCodeInTheMigrationPageIsThatOfTheTest(t *testing.T) {
	page, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("migration_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	for _, part := range blocks {
		block, _, _ := strings.Cut(part, "```")
		if !strings.Contains(string(code), block) {
			t.Errorf("this code is not tested:\n%s", block)
		}
	}
	if len(blocks) != 2 {
		t.Errorf("the page shows %d programs, want 2", len(blocks))
	}
}

// The callers of one process ask as one, those of redsync each for itself. A retry delay
// that is divided by the number of callers makes up for it.
func TestInAMixedFleetAShortRetryDelayGivesAFairShare(t *testing.T) {
	const callers, locks = 8, 200
	nodes := startTestServers(t, 3)
	theirs, closeTheirs := newTheirs(goRedis, nodes.addrs())
	ours, closeOurs, err := newOnGoRedis(nodes.addrs(),
		redlock.WithRetryDelay(50*time.Millisecond/callers, 250*time.Millisecond/callers))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var total, mine atomic.Int64
	var inside atomic.Int32
	work := func() {
		if inside.Add(1) != 1 {
			t.Error("two hold the lock")
		}
		time.Sleep(5 * time.Millisecond)
		inside.Add(-1)
	}
	for range callers {
		all.Go(func() {
			for total.Load() < locks {
				mutex := theirs.NewMutex("job")
				if err := mutex.LockContext(t.Context()); err != nil {
					continue // it gives up after 32 tries
				}
				work()
				total.Add(1)
				if _, err := mutex.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for total.Load() < locks {
				lock, err := ours.Lock(t.Context(), "job")
				if err != nil {
					t.Error(err)
					return
				}
				work()
				total.Add(1)
				mine.Add(1)
				if err := lock.Unlock(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(closeOurs(), closeTheirs()); err != nil {
		t.Error(err)
	}
	share := fmt.Sprintf("%d of %d locks", mine.Load(), total.Load())
	if t.Log(share); mine.Load()*4 < total.Load() {
		t.Errorf("ours are %s, want a quarter at least", share)
	}
}
