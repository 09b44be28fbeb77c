package main

import (
	"fmt"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/quorumlock/quorumlock/redlock"
)

const (
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
		_, e, err := b.election("leader")
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
	for _, c := range []*contest{ours, theirs} {
		if err := c.campaign[0](); err != nil {
			return err
		}
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

func (b *bench) proclamations() error {
	l, s, err := b.leads("proclaims")
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
			if lockTook = append(lockTook, time.Since(begun)); err != nil {
				return err
			}
			begun = time.Now()
			err = lock.Extend(b.ctx)
			extendTook = append(extendTook, time.Since(begun))
			return err
		},
	)
	if err != nil {
		return err
	}
	row("Proclaim, p50", took[0].at(0.5), took[1].at(0.5))
	fmt.Printf("| Proclaim to Lock, p50 | %s to %s: %.2f | | |\n", took[0].at(0.5), lockTook.at(0.5), float64(took[0].at(0.5))/float64(lockTook.at(0.5)))
	fmt.Printf("| the same of Extend, a script of two commands | %.2f | | |\n", float64(extendTook.at(0.5))/float64(lockTook.at(0.5)))
	return lock.Unlock(b.ctx)
}

// lockTook are locks alone, without what comes before them: a native command for each master.
// extendTook is what it takes to run a script in its place.
var lockTook, extendTook times

func (b *bench) isLeader() error {
	_, s, err := b.leads("is leader")
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
