package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
)

// A client is one process: a Locker with the real code, and its ways to the servers.
type client struct {
	world  *world
	index  int
	name   string
	life   int // it is started again after it died
	spec   clientSpec
	clock  *clientClock
	links  []*link
	locker *redlock.Locker

	election *election.Election // nil where there is none
	board    *board.Board

	dead  atomic.Bool
	ended chan struct{} // closed when it dies
	calls sync.WaitGroup
	left  error // what Close could not settle

	closers []io.Closer // of real clients
}

func newClient(w *world, index, life int) *client {
	spec := w.plan.Clients[index]
	c := &client{world: w, index: index, name: fmt.Sprintf("client%d", index+1), life: life, spec: spec, ended: make(chan struct{})}
	if life > 0 {
		c.name = fmt.Sprintf("client%d.%d", index+1, life+1)
	}
	chance := newLuck(w.plan.Seed, index, life)
	c.clock = &clientClock{now: w.now, rate: spec.Rate, begun: chance.between(0, hour)}
	var pools []pool.Pool
	for _, s := range w.servers {
		l := &link{net: w.net, client: c, server: s}
		c.links = append(c.links, l)
		pools = append(pools, l.pool())
	}
	defer clock.SetLocal(c.clock)()
	opts := []redlock.Option{redlock.WithOwner(c.String()), redlock.WithTTL(w.plan.TTL),
		redlock.WithNodeTimeout(w.plan.NodeTimeout), redlock.WithRetryDelay(w.plan.Retry[0], w.plan.Retry[1])}
	if w.plan.Fencing {
		opts = append(opts, redlock.WithFencing())
	}
	if w.plan.Fair {
		opts = append(opts, redlock.WithPlaceLease(w.plan.Lease))
	}
	if w.plan.Guard {
		opts = append(opts, redlock.WithRestartGuard(w.plan.TTL))
	}
	locker, err := redlock.New(pools, opts...)
	if err != nil {
		panic(err) // a schedule that is no configuration
	}
	c.locker = locker
	if w.plan.Elects {
		c.election, err = election.New(locker, electionName)
	}
	if w.plan.Boards && err == nil {
		c.board, err = board.New(locker)
	}
	if err != nil {
		panic(err)
	}
	return c
}

// pool is the link with what its client library can do.
func (l *link) pool() pool.Pool {
	if l.net.world.plan.Real {
		return l.realPool()
	}
	switch spec := l.client.spec; {
	case spec.Pipelined && spec.NoSubscriber:
		return submitting{l}
	case spec.Pipelined:
		return struct {
			submitting
			pool.Subscriber
		}{submitting{l}, subscribing{l}}
	case spec.NoSubscriber:
		return l
	}
	return subscribing{l}
}

func (c *client) String() string { return c.name }

// owns reports whether a value on a server is of this process.
func (c *client) owns(value string) bool { return strings.HasSuffix(value, ":"+c.name) }

// kill ends the process: it sends and receives nothing any more. What was sent is
// under way.
func (c *client) kill() {
	if c.dead.Swap(true) {
		return
	}
	close(c.ended)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.cutOff()
	go func() { // so that its goroutines end, too
		_ = c.locker.Close(ctx) // at once
		c.disconnect()
	}()
}

// close ends the process well: what it holds is unlocked already.
func (c *client) close(ctx context.Context) {
	c.calls.Wait()
	if !c.dead.Load() {
		c.left = c.locker.Close(ctx)
		c.disconnect()
	}
}

// A session is one call of Lock, TryLock or LockAsync, and what follows from it.
type session struct {
	event
	client *client
	names  []string // of its locks; of a slot those of all that it may be granted, and then that one
	queues []string // of the locks whose wait queues it waits in
	begun  time.Duration
	cancel context.CancelFunc
	unlock chan struct{} // closed to unlock early
	once   sync.Once
	stop   atomic.Int64 // until when it will be stopped once it has begun to ask, 0 if it is not

	// Of the loop of the world.
	values    []string        // of its attempts
	granted   string          // of them, once it is known
	waiterID  string          // of its Locker in the wait queue
	ticket    int64           // in the wait queue, once it has one
	seen      bool            // that it has the lock
	had       []time.Duration // when a server last found so, for an extension
	cancelled bool            // by an event

	held   atomic.Pointer[holding]             // nil before it has the lock
	leader atomic.Pointer[election.Leadership] // nil if it is no campaign, or was not elected
	ended  atomic.Bool

	slot  int    // that it was granted; written before held
	doing *doing // of Do

	extending atomic.Int64 // calls of Extend or Downgrade that have not returned
}

// A holding is a lock that a call got.
type holding struct {
	*redlock.Lock
	done <-chan struct{} // of its context
}

type sessionKey struct{}

// sessionOf is the call that a context belongs to, nil if there is none.
func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

// begin starts a call.
func (c *client) begin(e event) *session {
	s := &session{event: e, client: c, names: e.names(), queues: e.waitQueues(), begun: c.world.now(), unlock: make(chan struct{}), had: slices.Repeat([]time.Duration{-1}, c.world.plan.Nodes)}
	ctx := context.WithValue(context.Background(), sessionKey{}, s)
	if e.Patience > 0 {
		ctx, s.cancel = context.WithTimeout(ctx, e.Patience)
	} else {
		ctx, s.cancel = context.WithCancel(ctx)
	}
	if c.spec.Pipelined && e.Pause > 0 {
		c.world.did["a call was stopped between two requests"]++
		calm := c.world.plan.Length - time.Duration(e.Call+1) // no two go on at the same instant
		s.stop.Store(int64(min(s.begun+e.Pause, calm)))
	}
	c.calls.Add(1)
	go func() { // ends with the call and what it holds, or the process
		defer c.calls.Done()
		defer s.cancel()
		s.run(ctx)
		s.ended.Store(true)
		c.world.wake()
	}()
	return s
}

func (s *session) run(ctx context.Context) {
	var opts []redlock.LockOption
	if s.KeepAlive {
		opts = append(opts, redlock.WithKeepAlive())
	}
	if s.Fair {
		opts = append(opts, redlock.WithFair())
	}
	k, err := s.takeOrLead(ctx, opts)
	if err != nil {
		s.say("does not get the lock: %v", err)
		s.client.world.sendsAway(sentAway{s, err})
		return
	}
	s.held.Store(k)
	s.say("HOLDS %s", s.Name)
	s.client.world.wake()
	defer s.write()()

	hold := time.NewTimer(max(s.For, 1))
	defer hold.Stop()
	forgotten := hold.C
	if s.Forget {
		forgotten = nil
	}
	select {
	case <-forgotten:
	case <-s.unlock:
	case <-s.client.ended:
		return
	}
	s.say("unlocks %s", s.Name)
	if s.Pluck {
		s.pluckAtEnd()
	}
	unlockCtx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = s.giveBack(unlockCtx)
	s.say("unlocked %s: %v", s.Name, err)
}

// halt stops the goroutine of a call, as a process is stopped.
func (s *session) halt() {
	timer := time.NewTimer(max(time.Duration(s.stop.Swap(0))-s.client.world.now(), 1))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.client.ended:
	}
}

func (s *session) take(ctx context.Context, opts []redlock.LockOption) (*redlock.Lock, error) {
	switch s.Kind {
	case lockAll, tryAll, asyncAll:
		return s.takeAll(ctx, opts)
	case acquireSlot, trySlot, doSlot:
		return s.takeSlot(ctx, opts)
	case readCall:
		return s.client.locker.RLock(ctx, s.Name, opts...)
	case tryRead:
		return s.client.locker.TryRLock(ctx, s.Name, opts...)
	case tryCall:
		return s.client.locker.TryLock(ctx, s.Name, opts...)
	case asyncCall:
		p := s.client.locker.LockAsync(ctx, s.Name, opts...)
		k, err := p.Wait(ctx)
		if err != nil {
			p.Cancel()
		}
		return k, err
	}
	return s.client.locker.Lock(ctx, s.Name, opts...)
}

func (s *session) early() { s.once.Do(func() { close(s.unlock) }) }

func (s *session) say(format string, args ...any) {
	if s.client.world.tracing && !s.client.dead.Load() {
		s.client.world.say(s.client, "call %d: "+format, append([]any{s.Call}, args...)...)
	}
}
