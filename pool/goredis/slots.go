package goredis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
)

// slots lets as many commands into the client as the client may have connections. A slot is
// warm if the client's pool probably has an idle connection for it. A slot is cold if a
// connection would have to be opened.
//
// go-redis opens a connection on the goroutine of the command that needs it, within the
// time of that command. It closes the connection if the time ends before the greeting does.
// Where a greeting takes longer than a command may, no connection would ever be open. So a
// command waits here, and the connection is opened on another goroutine: see [slots.open].
// Nearly every command finds a warm slot, for the price of locking a mutex twice.
//
// Warm and cold are guesses: other code uses the client, too, and idle connections end. If a
// command with a warm slot finds no connection, go-redis opens one on the command's
// goroutine. If that fails, all slots are cold again.
type slots struct {
	client *redis.Client
	clones *clones
	limit  time.Duration // of opening a connection, unless a command has longer
	all    int

	failure atomic.Pointer[unopenable] // of the last opening; nil if that was a success
	swept   atomic.Pointer[time.Time]  // when idle connections were closed last

	mu         sync.Mutex // protects the rest; never held while the client is called
	warm, cold int        // neither in use nor being opened
	opening    int        // being opened, for the first waiters; more than waiters if some gave up
	waiting    []*waiter  // the oldest first; none if warm > 0
	spare      []*waiter  // not in use
	replies    uint64     // number of replies so far, to tell a busy server from a silent one
}

// unopenable is why a connection could not be opened.
type unopenable struct {
	err error
	at  time.Time
}

// waiter is a command that waits for a slot. With more callers than connections nearly every
// command waits, so waiters are used again.
type waiter struct {
	ctx   context.Context
	left  time.Duration
	done  chan error // buffered; nil is a slot
	timer *time.Timer
}

// waiter returns a waiter that is not in use. s.mu is held.
func (s *slots) waiter() *waiter {
	last := len(s.spare) - 1
	if last < 0 {
		w := &waiter{done: make(chan error, 1), timer: time.NewTimer(longest)}
		w.timer.Stop()
		return w
	}
	w := s.spare[last]
	s.spare = s.spare[:last]
	return w
}

func (s *slots) init(client *redis.Client, clones *clones) {
	o := client.Options()
	s.client, s.clones, s.limit, s.all = client, clones, o.DialTimeout, o.PoolSize
	if s.limit <= 0 {
		s.limit = 5 * time.Second // as go-redis has it where nothing is set
	}
	if o.MaxActiveConns > 0 {
		s.all = min(s.all, o.MaxActiveConns)
	}
	s.cold = s.all
}

// acquire waits for a slot. left is the time until the command's deadline; acquire returns
// what remains of it.
func (s *slots) acquire(ctx context.Context, left time.Duration) (time.Duration, error) {
	s.mu.Lock()
	if s.warm > 0 {
		s.warm--
		s.mu.Unlock()
		return left, nil
	}
	w := s.waiter()
	w.ctx, w.left = ctx, left
	s.waiting = append(s.waiting, w)
	replies := s.replies
	s.need()
	s.mu.Unlock()

	err := s.wait(w, replies)
	s.mu.Lock()
	w.ctx = nil
	s.spare = append(s.spare, w) // its wait ended, or it was taken out: no other pointer is left
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if left, err = remaining(ctx); err != nil {
		s.release(unused)
	}
	return left, err
}

// need opens connections for waiters, up to the limit. s.mu is held.
func (s *slots) need() {
	for s.cold > 0 && s.opening < len(s.waiting) {
		w := s.waiting[s.opening]
		s.cold--
		s.opening++
		go s.open(w.ctx, w.left) // ends when the connection is open, or its time is over
	}
}

// A fate says how the use of a connection ended.
type fate uint8

const (
	unused   fate = iota // no command used it
	answered             // the next command can use it
	dropped              // it is closed
	unopened             // there was none
)

// release returns the slot of an acquire.
func (s *slots) release(f fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch f {
	case answered:
		s.replies++
		fallthrough
	case unused:
		s.give()
		return
	case unopened:
		s.forget()
	}
	s.cold++
	s.need()
}

// give gives a warm slot to the first waiter. s.mu is held.
func (s *slots) give() {
	if len(s.waiting) == 0 {
		s.warm++
		return
	}
	s.endWait(nil)
}

// endWait ends the wait of the first waiter, if there is one. s.mu is held.
func (s *slots) endWait(err error) {
	if len(s.waiting) > 0 {
		s.waiting[0].done <- err
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
	}
}

// forget makes the warm slots cold. s.mu is held.
func (s *slots) forget() { s.warm, s.cold = 0, s.cold+s.warm }

// opened records the outcome of an opening.
func (s *slots) opened(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	if err == nil {
		s.failure.Store(nil)
		s.give()
		return
	}
	s.failure.Store(&unopenable{err, time.Now()})
	s.cold++
	s.endWait(err)
	s.need()
}

// wait returns nil when w has a slot. It ends at the deadline of w at the latest.
func (s *slots) wait(w *waiter, replies uint64) error {
	w.timer.Reset(s.patience(w.left))
	defer w.timer.Stop()
	over := context.DeadlineExceeded
	select {
	case err := <-w.done:
		return err
	case <-w.ctx.Done():
		over = w.ctx.Err()
	case <-w.timer.C:
	}
	s.mu.Lock()
	i := slices.Index(s.waiting, w)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	// If all are in use and the server is silent, the pool is not too small.
	busy := s.warm+s.cold+s.opening == 0 && s.replies != replies
	s.mu.Unlock()
	if i < 0 { // its wait was ended just now
		return <-w.done
	}
	return s.late(over, busy)
}

// patience returns how long a command with that much time left waits for a connection. If
// connections cannot be opened at present, it is an eighth less: the caller should get the
// cause before its own deadline ends the call.
func (s *slots) patience(left time.Duration) time.Duration {
	if s.recent() != nil {
		return left - left/8
	}
	return left
}

// failureHolds is how long a failure to open a connection counts as the cause of others.
const failureHolds = 10 * time.Second

// recent returns why the last connection could not be opened, or nil.
func (s *slots) recent() error {
	if f := s.failure.Load(); f != nil && time.Since(f.at) < failureHolds {
		return f.err
	}
	return nil
}

// late returns why a command had no slot by its deadline.
func (s *slots) late(over error, busy bool) error {
	if stats := s.client.PoolStats(); busy || stats.PendingRequests > 0 && s.taken(stats) {
		return s.full(over)
	}
	return s.unopened(over)
}

// starved returns why the client got no connection in time. err is the client's error.
func (s *slots) starved(err error) error {
	if s.taken(s.client.PoolStats()) {
		return s.full(err)
	}
	return s.unopened(err)
}

// taken reports whether the client has no idle connection and may not open one.
func (s *slots) taken(stats *redis.PoolStats) bool {
	return int(stats.TotalConns)-int(stats.IdleConns) >= s.all
}

func (s *slots) full(over error) error {
	return fmt.Errorf("%w: %w: all %d were in use until then (PoolSize, MaxActiveConns)", over, pool.ErrNoConn, s.all)
}

func (s *slots) unopened(over error) error {
	const text = "%w: no connection was open by then; why the last one could not be opened: "
	switch why := s.recent(); {
	case why != nil && isRefusal(why): // must not count as the reply to this command
		return fmt.Errorf(text+"%v", over, why)
	case why != nil:
		return fmt.Errorf(text+"%w", over, why)
	}
	return fmt.Errorf("%w: no connection was open by then (DialTimeout, DialerRetries, the greeting, credentials, OnConnect)", over)
}
