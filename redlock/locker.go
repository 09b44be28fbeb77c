package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/lease"
	"github.com/quorumlock/quorumlock/internal/listen"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/register"
	"github.com/quorumlock/quorumlock/internal/waiting"
	"github.com/quorumlock/quorumlock/pool"
)

// A Locker takes locks on one set of nodes. It is safe for concurrent use. One Locker is
// enough for a service.
type Locker struct {
	group  *fanout.Group
	config config
	trace  Trace
	logger *slog.Logger
	clock  clock.Clock
	keeper *lease.Keeper // of the leases of locks

	reports reporter // to logger and trace

	hub     *waiting.Hub  // what makes callers wait
	closing chan struct{} // closed by Close

	turns     turns               // of callers that repeat attempts
	registers *register.Registers // for packages election and board

	checking chan struct{} // has room for one: a Check is under way
	listing  chan struct{} // the same for List

	reached    atomic.Bool // a majority of nodes has answered an attempt
	complained atomic.Bool // that none ever did; see neverAnswered

	mu      sync.Mutex // protects the rest
	closed  bool
	calls   int           // calls under way
	drained chan struct{} // made by Close, closed when calls is 0
}

// New returns a Locker on the nodes behind pools. One node is allowed. An odd number is
// best: an even number tolerates no more failures than one node fewer. New connects to
// nothing.
//
// The error names what is wrong: there is no pool, a pool is nil, two pools have one name
// or one client, or an option is not allowed (see [LockOption]).
//
// The pools belong to the caller: Close does not close them.
func New(pools []pool.Pool, opts ...Option) (*Locker, error) {
	return newLocker(clock.Local(), pools, opts)
}

func newLocker(c clock.Clock, pools []pool.Pool, opts []Option) (*Locker, error) {
	if err := checkPools(pools); err != nil {
		return nil, err
	}
	cfg := defaults()
	for i, o := range opts {
		if o == nil {
			return nil, fmt.Errorf("redlock: option %d of New is nil", i)
		}
		o.applyLocker(&cfg)
	}
	if err := cfg.check(cfg.drift); err != nil {
		return nil, err
	}
	l := &Locker{
		config:  cfg,
		trace:   cfg.trace,
		logger:  cfg.logger,
		clock:   c,
		keeper:  lease.NewKeeper(c),
		closing: make(chan struct{}),

		checking: make(chan struct{}, 1),
		listing:  make(chan struct{}, 1),
	}
	l.reports.logger = cfg.logger
	l.group = fanout.NewGroup(pools, cfg.drift, cfg.longest, l.nodeChanged)
	l.group.OnDuplicate(l.sameServer(len(pools)))
	l.hub = waiting.NewHub(waiting.Config{
		Pools:    pools,
		Habits:   waiting.Habits{Guard: cfg.longest, NodeTimeout: cfg.nodeTimeout, RetryMin: cfg.retryMin, RetryMax: cfg.retryMax},
		Label:    cfg.owner,
		WaiterID: l.group.WaiterID(),
		Closing:  l.closing,
		Left: func(waiterID string, keys []string, known fanout.Position) {
			l.group.LeaveQueue(waiterID, keys, newValue(l.config.owner), l.config.nodeTimeout, known)
		},
	})
	l.group.OnNoConn(l.hub.FreeConnection)
	l.group.SetReleaser(l.hub.SharedID())
	l.group.Share(l.hub.Known())
	l.registers = l.newRegisters()
	return l, nil
}

func checkPools(pools []pool.Pool) error {
	if len(pools) == 0 {
		return errors.New("redlock: New needs at least one pool")
	}
	seen, clients := make(map[string]int), make(map[any]int)
	for i, p := range pools {
		if v := reflect.ValueOf(p); p == nil || v.Kind() == reflect.Pointer && v.IsNil() {
			return fmt.Errorf("redlock: pool %d is nil", i)
		}
		name := p.String()
		if j, again := seen[name]; again {
			return fmt.Errorf("redlock: pools %d and %d are both %q: a node that votes twice is no quorum; give each node once, and nodes that differ different names", j, i, name)
		}
		seen[name] = i
		client := listen.ClientOf(p)
		if client == nil {
			continue
		}
		if j, again := clients[client]; again {
			return fmt.Errorf("redlock: pools %d (%q) and %d (%q) stand on one client: a node that votes twice is no quorum; give each node a client of its own, once", j, pools[j], i, name)
		}
		clients[client] = i
	}
	return nil
}

func (l *Locker) nodeChanged(n *node.Node, failure error) {
	if failure != nil {
		about := []any{"node", n.String(), "err", failure}
		if remedy := node.Advice(failure); remedy != "" {
			about = append(about, "remedy", remedy)
		}
		what := "redlock: node fails"
		if errors.Is(failure, pool.ErrNoConn) { // which is not the node's fault
			what = "redlock: no free connection to node"
		}
		l.log(context.Background(), slog.LevelWarn, what, about...)
	} else {
		l.log(context.Background(), slog.LevelInfo, "redlock: node works again", "node", n.String())
	}
	if l.trace.Node != nil {
		l.reports.add(func() { l.trace.Node(n.String(), failure != nil) })
	}
}

// enter notes that a call is under way, which Close waits for; leave that it
// has ended.
func (l *Locker) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.calls++
	return nil
}

func (l *Locker) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls--; l.calls == 0 && l.drained != nil {
		close(l.drained)
		l.drained = nil
	}
}

// Close ends the Locker. Calls that wait for a lock return an error that matches
// [ErrClosed]. A lock that is held ends for its holder: its context ends with
// ErrClosed, renewals stop, Extend and Handle return an error, and Held is 0. But the
// nodes keep it until it is unlocked or expires, since the holder may still be at work.
// Unlock still releases it, and returns nil as long as the validity lasts. So does
// [Locker.Do], for whose function Close does not wait. Then Close waits until every
// lock that was released, or was never granted, is gone from every node.
//
// If a node is down, Close may take more than ten minutes: give ctx a deadline. At the
// end of a program end the work first, unlock its locks, and then close.
//
// When ctx ends, Close gives up, but not before it has taken one node timeout, which is
// enough for nodes that answer. So a ctx that had ended before the call is right, too.
// Exception: a deadline that was still ahead at the call ends Close at that time.
//
// Close returns nil if nothing is left. Otherwise the error names the locks that are
// still held, and the keys that may be left on each node; they expire by themselves. It
// matches none of the Err values, and ctx.Err() if ctx has ended.
//
// A command that a node did not answer in time may still be on its way. Close keeps
// releasing until that node has answered since for one TTL and its drift, silences not
// counted. That takes one or two TTLs if the node answers. For a node that stays down
// it takes up to a TTL plus ten minutes (two TTLs if a TTL is longer than that), or one
// TTL if the node had answered every attempt and only releases are missing. If the client of a node was closed before the
// Locker, Close gives up on that node at once.
//
// Close may be called again, also at the same time. Each lock and key is in the error
// of one call only, and a call that gives up ends the wait of the others. An Unlock
// after Close is repeated in the background as before, and another Close waits for it.
//
// Close also waits for the reports to the logger and the [Trace], for one node timeout at
// most.
func (l *Locker) Close(ctx context.Context) error {
	given := ctx
	ctx, done := l.patience(given)
	defer done()
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.closing)
		l.hub.Leave()
	}
	var drained chan struct{}
	if l.calls > 0 {
		if l.drained == nil {
			l.drained = make(chan struct{})
		}
		drained = l.drained
	}
	l.mu.Unlock()

	ended, renewed := l.keeper.Close()
	var left []error
	for _, done := range [...]<-chan struct{}{drained, renewed} {
		if done == nil {
			continue
		}
		select {
		case <-done:
		case <-ctx.Done():
			left = []error{errors.New("calls are still under way")}
		}
	}
	var names []string
	for _, lock := range ended {
		if k := lock.(*leased); !k.claim.Released() { // as one is whose [Pending] was cancelled
			names = append(names, k.name)
		}
	}
	if len(names) > 0 {
		l.log(ctx, slog.LevelWarn, "redlock: closed, and locks are still held", "locks", len(names), "names", fanout.FirstFew(names), "owner", l.config.owner)
		left = append(left, fmt.Errorf("%d locks are still held, until they are unlocked or expire: %s", len(names), fanout.FirstFew(names)))
	}
	l.hub.Close(ctx)
	left = append(left, l.group.Settle(ctx)...)
	l.group.Stop()
	l.reports.wait(ctx, l.config.nodeTimeout)
	if len(left) == 0 {
		return nil
	}
	err := fmt.Errorf("redlock: close: %w", errors.Join(left...))
	if given.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, given.Err())
	}
	return err
}

// patience returns the context that bounds Close. It ends with ctx, but not before a node
// timeout has passed, unless the deadline of ctx comes first. A program that ends closes with
// a ctx that has ended, and the releases of its last Unlock calls are still on their way.
func (l *Locker) patience(ctx context.Context) (bound context.Context, done func()) {
	if ctx.Done() == nil {
		return ctx, func() {}
	}
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	until := time.Now().Add(l.config.nodeTimeout)
	if at, ok := ctx.Deadline(); ok && time.Until(at) > 0 && at.Before(until) {
		until = at
	}
	least, enough := context.WithDeadline(ended, until)
	stop := context.AfterFunc(ctx, func() { // on a goroutine that ends with least
		<-least.Done()
		end()
	})
	return ended, func() {
		stop()
		enough()
		end()
	}
}
