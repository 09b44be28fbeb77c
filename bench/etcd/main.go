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
	"time"

	"go.etcd.io/etcd/api/v3/version"
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
	fmt.Printf("%s/%s, %d processors, %s; etcd %s, 3 members in one process, without fsync; 3 redis-servers\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), version.Version)
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

// board returns a board on a Locker of its own.
func (b *bench) board() (*board.Board, error) {
	l, err := b.locker()
	if err != nil {
		return nil, err
	}
	return board.New(l)
}

// both returns a board, and a client of etcd.
func (b *bench) both() (*board.Board, *clientv3.Client, error) {
	notices, err := b.board()
	if err != nil {
		return nil, nil, err
	}
	c, err := b.client()
	return notices, c, err
}

// election returns an election on a Locker of its own.
func (b *bench) election(name string) (*redlock.Locker, *election.Election, error) {
	l, err := b.locker()
	if err != nil {
		return nil, nil, err
	}
	e, err := election.New(l, name)
	return l, e, err
}

// leads returns a leadership on a Locker of its own.
func (b *bench) leads(name string) (*redlock.Locker, *election.Leadership, error) {
	l, e, err := b.election(name)
	if err != nil {
		return nil, nil, err
	}
	s, err := e.Campaign(b.ctx, "value")
	return l, s, err
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

// perRound is how often each call is measured in a round.
const perRound = 40

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
