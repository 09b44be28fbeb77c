package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// An idleReport says what it costs to hold locks with keep-alive and do
// nothing else.
type idleReport struct {
	Locks  int
	Client string
	Memory int64 // heap and stacks in use after a collection: growth, in bytes
	// Goroutines: growth when the locks were held, and the largest growth seen
	// while they were renewed.
	Goroutines, Most int
	Watched          time.Duration // for how long all were held
	Renewed          int           // locks whose validity moved meanwhile
	Lost             int           // locks that ended meanwhile
	Partial          int           // locks that not every node held at the end
	CPU              float64       // share of one core while they were renewed
}

func (r idleReport) String() string {
	return fmt.Sprintf("| %s | %d | %.1f MB | %d B | %+d | %+d | %v | %d | %d | %d | %.0f%% |",
		r.Client, r.Locks, float64(r.Memory)/1e6, r.Memory/int64(max(1, r.Locks)), r.Goroutines, r.Most,
		r.Watched, r.Renewed, r.Lost, r.Partial, 100*r.CPU)
}

func writeIdleHeader(w io.Writer) {
	fmt.Fprint(w, "\n### Held locks with keep-alive, TTL 8 s, n=3\n\n")
	fmt.Fprintln(w, "| client | locks | memory | per lock | goroutines | most of them | watched for | renewed | lost | not on all nodes | client CPU |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|")
}

const (
	idleTakers = 64 // that take the locks, and give them back
	idleTTL    = 8 * time.Second
	// A lock is renewed every third of its TTL or a little sooner: two renewals
	// and some.
	idleWatch = 6 * time.Second
)

// measureIdle takes locks with keep-alive on three servers, looks at memory and
// goroutines, and watches for more than two renewals.
func measureIdle(nodes servers, client string, locks int) (r idleReport, err error) {
	locker, closeLocker, err := newOurs(client, true, nodes.addrs(), poolSize(idleTakers))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, closeLocker()) }()

	// Connections, scripts and goroutines of the client are there before the
	// first look.
	warm, err := takeIdle(locker, "warm-up", 10*idleTakers)
	if err != nil {
		return r, err
	}
	if err := releaseIdle(warm); err != nil {
		return r, err
	}
	warm = nil
	before, goroutines := memoryInUse(), runtime.NumGoroutine()

	held, err := takeIdle(locker, "idle", locks)
	defer func() { err = errors.Join(err, releaseIdle(held)) }()
	if err != nil {
		return r, err
	}
	r = idleReport{Locks: locks, Client: client, Watched: idleWatch}
	r.Memory, r.Goroutines = memoryInUse()-before, runtime.NumGoroutine()-goroutines
	r.watch(held, goroutines)
	return r, nil
}

// watch looks at the locks for a while, and at what renewing them costs.
func (r *idleReport) watch(held []*redlock.Lock, goroutines int) {
	ends := make([]time.Time, len(held))
	for i, lock := range held {
		ends[i] = lock.Until()
	}
	before := readUsage()
	for end := time.Now().Add(r.Watched); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		r.Most = max(r.Most, runtime.NumGoroutine()-goroutines)
	}
	u := readUsage().since(before)
	r.CPU = u.cpu.Seconds() / u.elapsed.Seconds()
	for i, lock := range held {
		if lock.Context().Err() != nil {
			r.Lost++
		}
		// Until follows the wall clock, so it moves by microseconds by itself.
		if lock.Until().Sub(ends[i]) > time.Second {
			r.Renewed++
		}
		if nodes, total := lock.Held(); nodes < total {
			r.Partial++
		}
	}
}

// memoryInUse is what heap objects and stacks take after a collection.
func memoryInUse() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools kept for one more round
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/os-stacks:bytes"},
	}
	metrics.Read(samples)
	var sum int64
	for _, s := range samples {
		sum += int64(s.Value.Uint64())
	}
	return sum
}

func takeIdle(locker *redlock.Locker, prefix string, n int) ([]*redlock.Lock, error) {
	held := make([]*redlock.Lock, n)
	err := byTakers(n, func(i int) (err error) {
		held[i], err = locker.Lock(context.Background(), fmt.Sprintf("%s:%d", prefix, i),
			redlock.WithTTL(idleTTL), redlock.WithKeepAlive(), redlock.WithMaxTries(3))
		return err
	})
	return held, err
}

func releaseIdle(held []*redlock.Lock) error {
	return byTakers(len(held), func(i int) error {
		if held[i] == nil {
			return nil
		}
		return held[i].Unlock(context.Background())
	})
}

// byTakers calls do for 0 to n-1 from idleTakers goroutines.
func byTakers(n int, do func(i int) error) error {
	var (
		next  atomic.Int64
		group sync.WaitGroup
		errs  [idleTakers]error
	)
	for t := range idleTakers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[t] == nil; i = int(next.Add(1)) - 1 {
				errs[t] = do(i)
			}
		})
	}
	group.Wait()
	return errors.Join(errs[:]...)
}
