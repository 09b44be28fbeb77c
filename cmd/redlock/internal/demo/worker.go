package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/direct"
	"github.com/quorumlock/quorumlock/redlock"
)

// A worker wants the lock, again and again. Each has a Locker and connections of
// its own, like a process of its own would.
type worker struct {
	number  int // from 0
	name    string
	nodes   []*direct.Pool
	locker  *redlock.Locker
	board   *board
	referee *referee
	jobs    *jobs
}

// connect makes connections, and opens them: six times five at once, on a busy
// machine, can take longer than the node timeout.
func (w *worker) connect(ctx context.Context, addrs []string, ttl time.Duration) error {
	var pools []pool.Pool
	for i, addr := range addrs {
		name := fmt.Sprintf("node %d", i+1)
		node, err := direct.New(addr, direct.WithDialTimeout(time.Second), direct.WithName(name))
		if err != nil {
			return err
		}
		w.nodes = append(w.nodes, node)
		pools = append(pools, node)
		if _, err := node.Do(ctx, "PING"); err != nil {
			return fmt.Errorf("connect to %s: %w", name, err)
		}
	}
	var err error
	w.locker, err = redlock.New(pools,
		redlock.WithOwner(w.name), redlock.WithTTL(ttl), redlock.WithKeepAlive(),
		redlock.WithNodeTimeout(ttl/4), redlock.WithRetryDelay(15*time.Millisecond, 75*time.Millisecond), redlock.WithFair(),
		redlock.WithTrace(&redlock.Trace{Round: w.round}))
	return err
}

// close waits a moment for pending releases, and reports those that are left.
func (w *worker) close(ctx context.Context) error {
	if w.locker == nil {
		return nil
	}
	err := w.locker.Close(ctx)
	for _, node := range w.nodes {
		_ = node.Close()
	}
	return err
}

// round records the rounds that fail because of the nodes.
func (w *worker) round(r redlock.RoundInfo) {
	if !errors.Is(r.Err, redlock.ErrNoQuorum) {
		return
	}
	failing := 0
	if q := (*redlock.QuorumError)(nil); errors.As(r.Err, &q) && q.Nodes != nil {
		failing = len(q.Nodes.Errors)
	}
	if failing == 0 {
		return // the votes were split between workers, which try again
	}
	nodes := fmt.Sprintf("%d of %d nodes fail", failing, r.Total)
	switch r.Op {
	case "lock":
		w.board.trouble(r.Op, w.name+" finds no majority: "+nodes)
	case "extend":
		w.board.trouble(r.Op, w.name+" cannot renew: "+nodes)
	case "unlock":
		w.board.trouble(r.Op, "the release by "+w.name+" is not confirmed: "+nodes)
	}
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context, key string) {
	for ctx.Err() == nil {
		request := w.locker.LockAsync(ctx, key)
		w.board.waiting(w.number, request)
		lock, err := request.Wait(ctx)
		switch {
		case err == nil:
			w.hold(ctx, lock)
		case ctx.Err() == nil:
			w.board.trouble("error", fmt.Sprintf("%s: %v", w.name, err))
		}
		request.Cancel() // releases a lock that was granted too late
		w.board.resting(w.number)
		w.jobs.rest(ctx)
	}
}

// hold does a job under the lock and releases it.
func (w *worker) hold(ctx context.Context, lock *redlock.Lock) {
	hold := w.referee.begin(w.name, time.Now())
	w.board.granted(w.number, lock)
	w.jobs.work(ctx, lock)

	// Before the release begins: from then on another worker may have the lock.
	end := endOf(lock, time.Now())
	cause := context.Cause(lock.Context())
	w.board.released(w.number)
	overlaps := w.referee.finish(hold, end)
	for _, o := range overlaps {
		w.board.note(alarmEvent, fmt.Sprintf("REFEREE: %s and %s both held the lock for %v", o.first, o.second, o.end.Sub(o.begin).Round(time.Millisecond)))
	}

	err := lock.Unlock(context.WithoutCancel(ctx))
	if cause == nil && errors.Is(err, redlock.ErrNotHeld) {
		cause = err
	}
	if cause != nil {
		w.board.lostBy(w.number, cause)
	}
}

// endOf is the last moment at which a lock was certainly held, if the holder
// stops to rely on it now. Until is a time of the wall clock and is compared
// with that, but the result stays on the monotonic clock.
func endOf(lock *redlock.Lock, now time.Time) time.Time {
	if late := now.Round(0).Sub(lock.Until()); late > 0 {
		return now.Add(-late)
	}
	return now
}
