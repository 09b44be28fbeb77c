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

// slots lets as many commands into the client as that may have connections. A slot is
// warm if an open connection is likely to be idle in the client's pool, and cold if one
// would have to be opened.
//
// go-redis opens a connection on the goroutine of the command that needs it, within the
// time of that command, and closes it when the time is up before the greeting is done.
// Where that takes longer than a command may, there would never be one. So a command
// waits here, and the connection is opened beside it: see [slots.open]. A command that
// finds a warm slot, nearly every one, pays for a mutex twice.
//
// It is a guess: others use the client, too, and idle connections end. A command that
// finds none in a warm slot has go-redis open it in the old way, and the slots are cold
// again if that fails.
type slots struct {
	client *redis.Client
	clones *clones
	limit  time.Duration // of opening a connection, unless a command has longer
	all    int

	failure atomic.Pointer[unopenable] // of the last opening; nil if that was a success
	swept   atomic.Pointer[time.Time]  // when idle connections were closed last

	mu         sync.Mutex // protects the rest; never held while the client is called
	warm, cold int        // neither in use nor being opened
	opening    int        // being opened, for the first waiters, or for nobody any more
	waiting    []*waiter  // the oldest first; none if warm > 0
	spare      []*waiter  // of no command
	replies    uint64     // that commands got, to tell a busy server from a silent one
}

// unopenable is why a connection could not be opened.
type unopenable struct {
	err error
	at  time.Time
}

// waiter is a command that waits for a slot. Where more callers than connections are at
// work nearly every one does, so these are used again.
type waiter struct {
	ctx   context.Context
	left  time.Duration
	told  chan error // nil is a slot; there is room for it
	timer *time.Timer
}

// waiter returns one that nobody uses. s.mu is held.
func (s *slots) waiter() *waiter {
	last := len(s.spare) - 1
	if last < 0 {
		w := &waiter{told: make(chan error, 1), timer: time.NewTimer(longest)}
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

// acquire returns when a connection is likely to be there for a command that has that
// much time left, and says how much is left then.
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
	s.spare = append(s.spare, w) // it was told or taken out: nobody else knows it
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if left, err = remaining(ctx); err != nil {
		s.release(unused)
	}
	return left, err
}

// need has connections opened for waiters, as far as there may be more. s.mu is held.
func (s *slots) need() {
	for s.cold > 0 && s.opening < len(s.waiting) {
		w := s.waiting[s.opening]
		s.cold--
		s.opening++
		go s.open(w.ctx, w.left) // ends when the connection is open, or its time is over
	}
}

// A fate is what became of the connection of a command.
type fate uint8

const (
	unused   fate = iota // nobody had it
	answered             // the next command can have it
	dropped              // it is closed
	unopened             // there was none
)

// release gives back what acquire got.
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
	s.tell(nil)
}

// tell ends the wait of the first waiter, if there is one. s.mu is held.
func (s *slots) tell(err error) {
	if len(s.waiting) > 0 {
		s.waiting[0].told <- err
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
	}
}

// forget makes the warm slots cold. s.mu is held.
func (s *slots) forget() { s.warm, s.cold = 0, s.cold+s.warm }

// opened notes what became of an opening.
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
	s.tell(err)
	s.need()
}

// wait returns nil when w has a slot. It does not wait longer than w can.
func (s *slots) wait(w *waiter, replies uint64) error {
	w.timer.Reset(s.patience(w.left))
	defer w.timer.Stop()
	over := context.DeadlineExceeded
	select {
	case err := <-w.told:
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
	// All in use and a server that is silent: then it is not the pool that is too small.
	busy := s.warm+s.cold+s.opening == 0 && s.replies != replies
	s.mu.Unlock()
	if i < 0 { // it was told just now
		return <-w.told
	}
	return s.late(over, busy)
}

// patience is how long to wait for a connection with that much time left. If connections
// cannot be opened at present it is a little less: who asks should be told why, and asks
// elsewhere at the deadline.
func (s *slots) patience(left time.Duration) time.Duration {
	if s.recent() != nil {
		return left - left/8
	}
	return left
}

// failureHolds is for how long a failure to open a connection explains others.
const failureHolds = 10 * time.Second

// recent returns why the last connection could not be opened, or nil.
func (s *slots) recent() error {
	if f := s.failure.Load(); f != nil && time.Since(f.at) < failureHolds {
		return f.err
	}
	return nil
}

// late returns why there was no slot when the time of a command was over.
func (s *slots) late(over error, busy bool) error {
	if stats := s.client.PoolStats(); busy || stats.PendingRequests > 0 && s.taken(stats) {
		return s.full(over)
	}
	return s.unopened(over)
}

// starved returns why the client returned err, having got no connection in time.
func (s *slots) starved(err error) error {
	if s.taken(s.client.PoolStats()) {
		return s.full(err)
	}
	return s.unopened(err)
}

// taken reports whether the client has no connection that is idle, and may not open one.
func (s *slots) taken(stats *redis.PoolStats) bool {
	return int(stats.TotalConns)-int(stats.IdleConns) >= s.all
}

func (s *slots) full(over error) error {
	return fmt.Errorf("%w: %w: all %d were in use until then (PoolSize, MaxActiveConns)", over, pool.ErrNoConn, s.all)
}

func (s *slots) unopened(over error) error {
	const text = "%w: no connection was open by then; why the last one could not be opened: "
	switch why := s.recent(); {
	case why != nil && isRefusal(why): // not to pass for the reply to this command
		return fmt.Errorf(text+"%v", over, why)
	case why != nil:
		return fmt.Errorf(text+"%w", over, why)
	}
	return fmt.Errorf("%w: no connection was open by then (DialTimeout, DialerRetries, the greeting, credentials, OnConnect)", over)
}
