// Command etcd measures elections and published values beside etcd and its concurrency package,
// in one run: three members of etcd in this process, without fsync, and three redis-servers
// without persistence, on the same machine. The two take turns.
//
//	go -C bench/etcd run .            # two minutes
//	go -C bench/etcd run . --rounds 3
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/redlock"
)

func main() {
	rounds := flag.Int("rounds", 9, "how often the two take turns")
	flag.Parse()
	if err := run(*rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench/etcd:", err)
		os.Exit(1)
	}
}

// A bench has both sides.
type bench struct {
	ctx     context.Context
	rounds  int
	masters masters
	cluster *cluster
	closers []func() error
}

func run(rounds int) (err error) {
	b := &bench{ctx: context.Background(), rounds: rounds}
	if b.masters, err = startMasters(); err != nil {
		return err
	}
	defer b.masters.stop()
	if b.cluster, err = startEtcd(); err != nil {
		return err
	}
	defer b.cluster.stop()
	defer func() {
		for _, c := range slices.Backward(b.closers) {
			_ = c()
		}
	}()
	fmt.Printf("%s/%s, %d processors, %s; etcd %s, 3 members in one process, without fsync; 3 redis-servers\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), "v3.7.3")
	fmt.Printf("| | quorumlock | etcd | ours / etcd |\n|---|---|---|---|\n")
	for _, step := range []func() error{b.elections, b.proclamations, b.isLeader, b.puts, b.crowd, b.watchers} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) locker() (*redlock.Locker, error) {
	l, c, err := b.masters.locker()
	if err == nil {
		b.closers = append(b.closers, c)
	}
	return l, err
}

func (b *bench) client() (*clientv3.Client, error) {
	c, err := b.cluster.client(b.ctx)
	if err == nil {
		b.closers = append(b.closers, c.Close)
	}
	return c, err
}

// session returns a session that renews a lease.
func (b *bench) session() (*concurrency.Session, error) {
	c, err := b.client()
	if err != nil {
		return nil, err
	}
	s, err := concurrency.NewSession(c, concurrency.WithTTL(8))
	if err == nil {
		b.closers = append(b.closers, s.Close)
	}
	return s, err
}

// times are durations that were measured.
type times []time.Duration

func (t times) at(q float64) time.Duration {
	slices.Sort(t)
	return t[int(q*float64(len(t)-1))]
}

func row(what string, ours, theirs time.Duration) {
	fmt.Printf("| %s | %s | %s | %.2f |\n", what, ours.Round(100*time.Nanosecond), theirs.Round(100*time.Nanosecond), float64(ours)/float64(theirs))
}

const (
	perRound = 40
	// settle is how long a candidate waits before the leader resigns. A watch of etcd that begins at
	// an earlier revision is brought up to date within 100 ms: a candidate has waited for longer.
	settle      = 150 * time.Millisecond
	resignments = 15 // in a round
)

// A contest moves the leadership between two candidates.
type contest struct {
	resign   func() error
	campaign [2]func() error // each on a connection of its own; sets what resigns
}

func (c *contest) run(took *times, first *int) error {
	for range resignments {
		next := (*first + 1) % 2
		elected := make(chan error, 1)
		var at time.Time
		resign := c.resign
		go func() {
			err := c.campaign[next]()
			at = time.Now()
			elected <- err
		}()
		time.Sleep(settle)
		begun := time.Now()
		if err := resign(); err != nil {
			return err
		}
		if err := <-elected; err != nil {
			return err
		}
		*took = append(*took, at.Sub(begun))
		*first = next
	}
	return nil
}

func (b *bench) elections() error {
	ours, theirs := new(contest), new(contest)
	for i := range 2 {
		l, err := b.locker()
		if err != nil {
			return err
		}
		e, err := election.New(l, "leader")
		if err != nil {
			return err
		}
		ours.campaign[i] = func() error {
			s, err := e.Campaign(b.ctx, "value")
			if err == nil {
				ours.resign = func() error { return s.Resign(b.ctx) }
			}
			return err
		}
		s, err := b.session()
		if err != nil {
			return err
		}
		c := concurrency.NewElection(s, "/leader")
		theirs.campaign[i] = func() error {
			err := c.Campaign(b.ctx, "value")
			if err == nil {
				theirs.resign = func() error { return c.Resign(b.ctx) }
			}
			return err
		}
	}
	var took [2]times
	var first [2]int
	for i, c := range []*contest{ours, theirs} {
		if err := c.campaign[0](); err != nil {
			return err
		}
		_ = i
	}
	for range b.rounds {
		for i, c := range []*contest{ours, theirs} {
			if err := c.run(&took[i], &first[i]); err != nil {
				return err
			}
		}
	}
	for _, c := range []*contest{ours, theirs} {
		if err := c.resign(); err != nil {
			return err
		}
	}
	row("resign to elected, p50", took[0].at(0.5), took[1].at(0.5))
	row("the same, p99", took[0].at(0.99), took[1].at(0.99))
	return nil
}

// each measures calls one after the other, of several kinds in turn.
func (b *bench) each(calls ...func() error) ([]times, error) {
	took := make([]times, len(calls))
	for range b.rounds {
		for i, call := range calls {
			for j := range perRound + 5 {
				begun := time.Now()
				if err := call(); err != nil {
					return nil, err
				}
				if j >= 5 {
					took[i] = append(took[i], time.Since(begun))
				}
			}
		}
	}
	return took, nil
}

func (b *bench) proclamations() error {
	l, err := b.locker()
	if err != nil {
		return err
	}
	e, err := election.New(l, "proclaims")
	if err != nil {
		return err
	}
	s, err := e.Campaign(b.ctx, "value")
	if err != nil {
		return err
	}
	defer s.Resign(b.ctx)
	session, err := b.session()
	if err != nil {
		return err
	}
	c := concurrency.NewElection(session, "/proclaims")
	if err := c.Campaign(b.ctx, "value"); err != nil {
		return err
	}
	defer c.Resign(b.ctx)
	var lock *redlock.Lock
	took, err := b.each(
		func() error { return s.Proclaim(b.ctx, "another value") },
		func() error { return c.Proclaim(b.ctx, "another value") },
		func() (err error) {
			if lock != nil {
				if err := lock.Unlock(b.ctx); err != nil {
					return err
				}
			}
			begun := time.Now()
			lock, err = l.Lock(b.ctx, "lock")
			lockTook = append(lockTook, time.Since(begun))
			return err
		},
	)
	if err != nil {
		return err
	}
	row("Proclaim, p50", took[0].at(0.5), took[1].at(0.5))
	fmt.Printf("| Proclaim to Lock, p50 | %s to %s: %.2f | | |\n", took[0].at(0.5), lockTook.at(0.5), float64(took[0].at(0.5))/float64(lockTook.at(0.5)))
	return lock.Unlock(b.ctx)
}

// lockTook are locks alone, without what comes before them.
var lockTook times

func (b *bench) isLeader() error {
	l, err := b.locker()
	if err != nil {
		return err
	}
	e, err := election.New(l, "is leader")
	if err != nil {
		return err
	}
	s, err := e.Campaign(b.ctx, "value")
	if err != nil {
		return err
	}
	defer s.Resign(b.ctx)
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !s.IsLeader() {
				b.Fatal("it does not lead")
			}
		}
	})
	fmt.Printf("| IsLeader | %d ns, %d allocations | (no such call) | |\n", r.NsPerOp(), r.AllocsPerOp())
	return nil
}

func (b *bench) puts() error {
	l, err := b.locker()
	if err != nil {
		return err
	}
	notices, err := board.New(l)
	if err != nil {
		return err
	}
	c, err := b.client()
	if err != nil {
		return err
	}
	took, err := b.each(
		func() error { _, err := notices.Publish(b.ctx, "path", "value"); return err },
		func() error { _, err := c.Put(b.ctx, "/path", "value"); return err },
		func() error { _, err := notices.Latest(b.ctx, "path"); return err },
		func() error { _, err := c.Get(b.ctx, "/path"); return err },
	)
	if err != nil {
		return err
	}
	row("Publish / Put, p50", took[0].at(0.5), took[1].at(0.5))
	fmt.Printf("| Publish to Lock, p50 | %s to %s: %.2f | | |\n", took[0].at(0.5), lockTook.at(0.5), float64(took[0].at(0.5))/float64(lockTook.at(0.5)))
	row("Latest / Get (linearizable), p50", took[2].at(0.5), took[3].at(0.5))
	return nil
}

// crowd has 64 publishers, each on a path of its own.
func (b *bench) crowd() error {
	l, err := b.locker()
	if err != nil {
		return err
	}
	notices, err := board.New(l)
	if err != nil {
		return err
	}
	c, err := b.client()
	if err != nil {
		return err
	}
	const publishers = 64
	rate := func(call func(path string) error) (float64, error) {
		var n atomic.Int64
		var failed atomic.Pointer[error]
		begun := time.Now()
		end := begun.Add(300 * time.Millisecond)
		var all sync.WaitGroup
		for i := range publishers {
			path := fmt.Sprint("/crowd/", i)
			all.Go(func() {
				for time.Now().Before(end) {
					if err := call(path); err != nil {
						failed.Store(&err)
						return
					}
					n.Add(1)
				}
			})
		}
		all.Wait()
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return float64(n.Load()) / time.Since(begun).Seconds(), nil
	}
	var ours, theirs []float64
	for range b.rounds {
		r, err := rate(func(path string) error { _, err := notices.Publish(b.ctx, path, "value"); return err })
		if err != nil {
			return err
		}
		ours = append(ours, r)
		if r, err = rate(func(path string) error { _, err := c.Put(b.ctx, path, "value"); return err }); err != nil {
			return err
		}
		theirs = append(theirs, r)
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	o, t := ours[len(ours)/2], theirs[len(theirs)/2]
	fmt.Printf("| 64 publishers, values/s | %.0f | %.0f | %.2f |\n", o, t, o/t)
	return nil
}

// watchers has a hundred watchers of one path, in one process.
func (b *bench) watchers() error {
	const watchers = 100
	writer, err := b.locker()
	if err != nil {
		return err
	}
	reader, err := b.locker()
	if err != nil {
		return err
	}
	write, err := board.New(writer)
	if err != nil {
		return err
	}
	read, err := board.New(reader)
	if err != nil {
		return err
	}
	etcdWriter, err := b.client()
	if err != nil {
		return err
	}
	etcdReader, err := b.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	seen := make(chan string, 2*watchers)
	for range watchers {
		changes, err := read.Watch(ctx, "watched")
		if err != nil {
			return err
		}
		go func() {
			for c := range changes {
				if c.Kind == board.Published {
					seen <- c.Entry.Value
				}
			}
		}()
		events := etcdReader.Watch(ctx, "/watched")
		go func() {
			for response := range events {
				for _, e := range response.Events {
					seen <- string(e.Kv.Value)
				}
			}
		}()
	}
	time.Sleep(500 * time.Millisecond)
	var took [2]times
	for round := range b.rounds {
		for i, put := range []func(value string) error{
			func(value string) error { _, err := write.Publish(ctx, "watched", value); return err },
			func(value string) error { _, err := etcdWriter.Put(ctx, "/watched", value); return err },
		} {
			for j := range perRound {
				value := fmt.Sprint(i, " ", round, " ", j)
				begun := time.Now()
				if err := put(value); err != nil {
					return err
				}
				for n := 0; n < watchers; {
					select {
					case v := <-seen:
						if v == value {
							n++
						}
					case <-time.After(10 * time.Second):
						return fmt.Errorf("%d of %d watchers saw the value", n, watchers)
					}
				}
				took[i] = append(took[i], time.Since(begun))
			}
		}
	}
	row("published to seen by 100 watchers, p50", took[0].at(0.5), took[1].at(0.5))
	row("the same, p99", took[0].at(0.99), took[1].at(0.99))
	connections, err := b.masters[0].Do("PUBSUB", "NUMSUB", "{watched}:news")
	if err != nil {
		return err
	}
	fmt.Printf("| connections that subscribe on a master | %v | | |\n", connections.([]any)[1])
	return nil
}
