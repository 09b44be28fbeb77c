package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

const (
	sharedName = "report"
	sharedTTL  = time.Second
)

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// startLastingServers starts servers that return with all that they have acknowledged.
func startLastingServers(tb testing.TB, n int) (s servers) {
	tb.Helper()
	for range n {
		s = append(s, redisproc.Start(tb, redisproc.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}}))
	}
	return s
}

// fail has the servers fail in turn until the time is over: one or two at a time, and sometimes
// all, for less than a TTL.
func (s servers) fail(t *testing.T, end time.Time) {
	rng := rand.New(rand.NewPCG(7, 7))
	for round := 0; time.Now().Before(end); round++ {
		some := rng.Perm(len(s))[:1+rng.IntN(2)]
		length := 50*time.Millisecond + time.Duration(rng.Int64N(int64(sharedTTL/2)))
		switch round % 4 {
		case 1:
			for _, i := range some {
				s[i].Kill()
			}
			time.Sleep(length)
			for _, i := range some {
				if err := s[i].Restart(); err != nil {
					t.Error(err)
				}
			}
			continue
		case 3:
			some = rng.Perm(len(s))
			length /= 4
			if rng.IntN(2) == 0 {
				for _, i := range some {
					if _, err := s[i].Do("SCRIPT", "FLUSH"); err != nil {
						t.Error(err)
					}
				}
			}
		}
		for _, i := range some {
			if err := s[i].Freeze(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(length)
		for _, i := range some {
			if err := s[i].Thaw(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Duration(rng.Int64N(int64(sharedTTL / 4))))
	}
}

// A worker takes the lock, holds it for about so long, and gives it back.
type worker func(ctx context.Context, rng *rand.Rand, length time.Duration) error

// reading is a client with readers of ours. Some were writers before, and some hold the lock until it
// expires.
func reading(r *record, client string, ours *redlock.Locker) worker {
	return func(ctx context.Context, rng *rand.Rand, length time.Duration) error {
		opts := []redlock.LockOption{redlock.WithTTL(sharedTTL)}
		take, reader := ours.RLock, true
		switch rng.IntN(6) {
		case 0:
			opts = append(opts, redlock.WithKeepAlive())
			length *= 3
		case 1:
			opts = append(opts, redlock.WithFair())
		case 2:
			take = ours.TryRLock
		case 3:
			take, reader = ours.Lock, false
		case 4:
			length = 2 * sharedTTL
		}
		lock, err := take(ctx, sharedName, opts...)
		if err != nil {
			return err
		}
		from := time.Now()
		if !reader {
			rest(lock.Context(), length/2)
			shared := time.Now()
			r.add(hold{client, false, from, earlier(shared, lock.Until())})
			if err := lock.Downgrade(ctx); err != nil && !errors.Is(err, redlock.ErrNoQuorum) {
				return errors.Join(ignore(err, redlock.ErrNotHeld), ignore(lock.Unlock(context.WithoutCancel(ctx)), redlock.ErrNotHeld))
			}
			from = shared
		}
		rest(lock.Context(), length)
		r.add(hold{client, true, from, earlier(time.Now(), lock.Until())})
		return ignore(lock.Unlock(context.WithoutCancel(ctx)), redlock.ErrNotHeld)
	}
}

// excluding is a client of redsync.
func excluding(r *record, client string, theirs *redsync.Redsync, opts ...redsync.Option) worker {
	return func(ctx context.Context, rng *rand.Rand, length time.Duration) error {
		mutex := theirs.NewMutex(sharedName, append(opts, redsync.WithExpiry(sharedTTL))...)
		if err := mutex.LockContext(ctx); err != nil {
			return err
		}
		from := time.Now()
		rest(ctx, length)
		if rng.IntN(3) == 0 {
			if ok, _ := mutex.ExtendContext(ctx); ok {
				rest(ctx, length)
			}
		}
		r.add(hold{client, false, from, earlier(time.Now(), mutex.Until())})
		_, _ = mutex.Unlock() // it may have expired
		return nil
	}
}

func ignore(err, usual error) error {
	if errors.Is(err, usual) {
		return nil
	}
	return err
}

func rest(ctx context.Context, length time.Duration) {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// failUnder has the clients work, two of each, while the servers fail.
func (s servers) failUnder(t *testing.T, workers map[string]worker, length time.Duration) {
	end := time.Now().Add(length)
	var all sync.WaitGroup
	all.Go(func() { s.fail(t, end) })
	for name, work := range workers {
		for i := range 2 {
			all.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(len(name)), uint64(i)))
				for time.Now().Before(end) {
					ctx, cancel := context.WithTimeout(t.Context(), 3*sharedTTL)
					_ = work(ctx, rng, time.Duration(rng.Int64N(int64(sharedTTL/20)))) // servers fail
					cancel()
					rest(t.Context(), time.Duration(rng.Int64N(int64(sharedTTL/10)))) // or readers keep redsync out
				}
			})
		}
	}
	all.Wait()
}

// For six seconds, a minute with REDLOCK_LONG=1. redsync knows nothing of readers: it finds that there is a
// key.
func TestARedsyncClientAndOurReadersExcludeEachOtherUnderFaults(t *testing.T) {
	length := 6 * time.Second
	if os.Getenv("REDLOCK_LONG") != "" {
		length = time.Minute
	}
	redis.SetLogger(noLog{}) // it writes that servers are down
	nodes := startLastingServers(t, 5)
	var r record
	workers := make(map[string]worker)
	var closers []func() error
	for _, client := range []string{goRedis, redigoClient} {
		ours, closeOurs, err := newPipelined(client, nodes.addrs())
		if err != nil {
			t.Fatal(err)
		}
		theirs, closeTheirs := newTheirs(client, nodes.addrs())
		closers = append(closers, closeOurs, closeTheirs)
		workers["readers on "+client] = reading(&r, "readers on "+client, ours)
		workers["redsync on "+client] = excluding(&r, "redsync on "+client, theirs, redsync.WithFailFast(client == goRedis))
	}

	const enough = 4
	for rounds := 0; rounds < 5 && r.fewest(workers) < enough; rounds++ { // on a busy machine one shows little
		nodes.failUnder(t, workers, length)
	}
	during := len(r.holds)

	// Each gets the lock once all is well.
	for name, work := range workers {
		for tries := 1; ; tries++ {
			before := r.count(name)
			err := work(t.Context(), rand.New(rand.NewPCG(1, uint64(tries))), 0)
			if r.count(name) > before {
				break
			}
			if tries == 10 {
				t.Fatalf("%s does not get the lock: %v", name, err)
			}
		}
	}
	for _, closeThem := range closers {
		if err := closeThem(); err != nil {
			t.Error(err)
		}
	}
	readers, others := r.overlaps()
	for _, pair := range others {
		t.Errorf("%v: both held the lock for %v", pair, lasted(pair))
	}
	counts := fmt.Sprintf("%d holds, of %d pairs of readers at the same time", during, len(readers))
	for name := range workers {
		counts += fmt.Sprintf("; %d of %s", r.count(name), name)
	}
	if t.Log(counts); len(readers) == 0 || r.fewest(workers) < enough {
		t.Error("they show too little")
	}
}
