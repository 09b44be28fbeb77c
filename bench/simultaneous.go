package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
)

// Several callers try a free lock once, at the same moment, as a job does that is due on
// several machines. A caller that is refused leaves it to the others: so one has to get it.

// A collision says which callers try which lock.
type collision struct {
	Callers, Masters, Down int
}

func (m collision) String() string {
	text := fmt.Sprintf("%d callers, %d masters", m.Callers, m.Masters)
	if m.Down > 0 {
		text += fmt.Sprintf(", %d of them down", m.Down)
	}
	return text
}

var collisions = []collision{{2, 3, 1}, {3, 3, 0}, {3, 5, 0}}

// A trier tries a lock once. It returns what releases it, nil if it was not granted.
type trier func(key string) (release func() error)

var momentContenders = []struct {
	lib  string
	open func(addrs []string) (trier, func() error, error)
}{
	{ours, oursTries(true)},
	{oursPlain, oursTries(false)},
	{redsyncDefault, redsyncTries(false)},
	{redsyncFailFast, redsyncTries(true)},
}

func oursTries(pipelined bool) func([]string) (trier, func() error, error) {
	return func(addrs []string) (trier, func() error, error) {
		locker, closeLocker, err := newOurs(goRedis, pipelined, addrs, poolSize(1))
		return func(key string) func() error {
			lock, err := locker.TryLock(context.Background(), key)
			if err != nil {
				return nil
			}
			return func() error { return lock.Unlock(context.Background()) }
		}, closeLocker, err
	}
}

func redsyncTries(failFast bool) func([]string) (trier, func() error, error) {
	return func(addrs []string) (trier, func() error, error) {
		clients, closeClients := newGoRedis(addrs, poolSize(1))
		var pools []redsyncpool.Pool
		for _, c := range clients {
			pools = append(pools, redsyncgoredis.NewPool(c))
		}
		rs := redsync.New(pools...)
		return func(key string) func() error {
			mutex := rs.NewMutex(key, redsync.WithFailFast(failFast))
			if mutex.TryLock() != nil {
				return nil
			}
			return func() error { // one node may be down: an error is no news
				if ok, err := mutex.Unlock(); !ok {
					return errors.Join(errNoMajority, err)
				}
				return nil
			}
		}, closeClients, nil
	}
}

// A momentResult is how often how many callers were granted the lock.
type momentResult struct {
	Moment  collision
	Lib     string
	Rounds  int
	Nobody  int // rounds in which nobody got it
	Several int // rounds in which several did
}

// runMoments measures and writes a table.
func runMoments(rounds int, raw *rawFile, out, progress io.Writer) error {
	fmt.Fprintf(out, "\n## The same moment\n\nCallers try a free lock once, at the same moment (`TryLock`, go-redis), %d times. Rounds in which nobody got it:\n\n|", rounds)
	for _, c := range momentContenders {
		fmt.Fprintf(out, " | %s", c.lib)
	}
	fmt.Fprint(out, " |\n|---|---|---|---|---|\n")
	for _, m := range collisions {
		fmt.Fprintf(out, "| %v", m)
		for _, c := range momentContenders {
			fmt.Fprintf(progress, "%v, %s\n", m, c.lib)
			r, err := m.measure(c.lib, c.open, rounds)
			if err != nil {
				return fmt.Errorf("%v, %s: %w", m, c.lib, err)
			}
			if r.Several > 0 {
				return fmt.Errorf("%v, %s: several callers got the lock, in %d rounds", m, c.lib, r.Several)
			}
			fmt.Fprintf(out, " | %d (%.0f %%)", r.Nobody, 100*float64(r.Nobody)/float64(r.Rounds))
			if err := raw.write(r); err != nil {
				return err
			}
		}
		fmt.Fprint(out, " |\n")
	}
	return nil
}

func (m collision) measure(lib string, open func([]string) (trier, func() error, error), rounds int) (r momentResult, err error) {
	nodes, err := startServers(m.Masters)
	if err != nil {
		return r, err
	}
	defer nodes.stop()
	for _, node := range nodes[:m.Down] {
		node.Kill()
	}
	triers := make([]trier, m.Callers)
	for i := range triers {
		try, closeIt, opened := open(nodes.addrs())
		if opened != nil {
			return r, opened
		}
		defer closeIt() // pending releases of a dead server are no news
		triers[i] = try
	}
	r = momentResult{Moment: m, Lib: lib, Rounds: rounds}
	for i := range rounds {
		granted, err := meet(triers, fmt.Sprintf("moment %d", i))
		if err != nil {
			return r, err
		}
		switch {
		case granted == 0:
			r.Nobody++
		case granted > 1:
			r.Several++
		}
	}
	return r, nil
}

// meet has all try at once, and releases what was granted.
func meet(triers []trier, key string) (granted int, err error) {
	releases := make([]func() error, len(triers))
	start := make(chan struct{})
	var all sync.WaitGroup
	for i, try := range triers {
		all.Go(func() {
			<-start
			releases[i] = try(key)
		})
	}
	close(start)
	all.Wait()
	for _, release := range releases {
		if release != nil {
			granted++
			err = errors.Join(err, release())
		}
	}
	return granted, err
}
