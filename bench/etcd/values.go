package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/board"
)

func (b *bench) puts() error {
	notices, c, err := b.both()
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
	notices, c, err := b.both()
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
	write, err := b.board()
	if err != nil {
		return err
	}
	read, err := b.board()
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
