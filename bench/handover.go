package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// A handover is how long it takes from the return of Unlock on one Locker until
// another one, that waits, has the lock.
type handover struct {
	Handover string // plain or fair
	P50, P99 time.Duration
	Trip     time.Duration // a lock or an unlock that nobody contends, median
}

const (
	handovers = 500
	settled   = 2 * time.Millisecond // after it, the waiter has tried, and is subscribed
)

// runHandover measures and writes a table.
func runHandover(raw *rawFile, out, progress io.Writer) error {
	nodes, err := startServers(3)
	if err != nil {
		return err
	}
	defer nodes.stop()
	fmt.Fprintf(out, "\n### Hand-over from one Locker to another, n=3, go-redis\n\n| | p50 | p99 | round trip | p50 in round trips |\n|---|---|---|---|---|\n")
	for _, mode := range []struct {
		name string
		opts []redlock.LockOption
	}{{"plain", nil}, {"fair", []redlock.LockOption{redlock.WithFair()}}} {
		fmt.Fprintf(progress, "hand-over, %s\n", mode.name)
		h, err := measureHandover(nodes, mode.opts)
		if err != nil {
			return err
		}
		h.Handover = mode.name
		fmt.Fprintf(out, "| %s | %s | %s | %s | %.1f |\n", h.Handover, short(h.P50), short(h.P99), short(h.Trip), float64(h.P50)/float64(h.Trip))
		if err := raw.write(h); err != nil {
			return err
		}
	}
	return nil
}

func measureHandover(nodes servers, opts []redlock.LockOption) (h handover, err error) {
	if h.Trip, err = roundTrip(nodes); err != nil {
		return h, err
	}
	var lockers [2]*redlock.Locker
	for i := range lockers {
		locker, closeLocker, opened := newOurs(goRedis, true, nodes.addrs(), poolSize(1))
		if opened != nil {
			return h, opened
		}
		defer func() { err = errors.Join(err, closeLocker()) }()
		lockers[i] = locker
	}
	ctx := context.Background()
	held, err := lockers[0].Lock(ctx, "handover", opts...)
	if err != nil {
		return h, err
	}
	var took []time.Duration
	for i := range handovers {
		next := lockers[(i+1)%2].LockAsync(ctx, "handover", opts...)
		time.Sleep(settled)
		granted := make(chan time.Time, 1)
		go func() {
			<-next.Done()
			granted <- time.Now()
		}()
		if err := held.Unlock(ctx); err != nil {
			return h, err
		}
		released := time.Now()
		// Negative if the next one had it before Unlock returned.
		took = append(took, (<-granted).Sub(released))
		if held, err = next.Wait(ctx); err != nil {
			return h, err
		}
	}
	slices.Sort(took)
	h.P50, h.P99 = percentile(took, 50), percentile(took, 99)
	return h, held.Unlock(ctx)
}
