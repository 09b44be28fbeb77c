package redigo

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

const (
	// openTimeout bounds the opening of a connection.
	openTimeout = 5 * time.Second
	// hanging is how long an opening may take before the next call begins another one: a
	// host that is gone does not answer, but its successor under the same name does.
	hanging = time.Second
	// extra is how many openings there may be beyond one for each waiting call. A dial
	// function that ignores its context may never return.
	extra = 5
	// spared is how long a connection that came too late for its command is kept, if its
	// source keeps no idle ones.
	spared = 2 * time.Second
)

// connect returns a connection. It needs no goroutine if one is idle, or if all are in use
// and the call only has to wait for one.
func (p *Pool) connect(ctx context.Context) (redis.Conn, error) {
	if !p.atHand() {
		return p.opening.wait(ctx)
	}
	conn, err := p.source.GetContext(ctx)
	if err == nil {
		err = conn.Err()
	}
	if err != nil {
		err = p.noConnection(ctx, err)
		p.opening.slow.Store(!errors.Is(err, pool.ErrNoConn))
		return nil, err
	}
	return conn, nil
}

// atHand reports whether a connection is idle, or all that the pool may have are in use, so
// that none can be opened. If one of these breaks, redigo opens the next one on the call
// that has waited longest, within the time of that call. Once that has failed, calls wait
// for an opener until an opening succeeds.
func (p *Pool) atHand() bool {
	switch source := p.source.(type) {
	case *redis.Pool:
		stats := source.Stats()
		return stats.IdleCount > 0 || full(source, stats) && p.opening.asks.Load() == 0 && !p.opening.slow.Load()
	case interface{ IdleCount() int }:
		return source.IdleCount() > 0
	}
	return false
}

// An opener opens connections for calls whose deadline may come before a connection is open.
// If calls opened connections themselves, an opening that takes longer than a deadline would
// be started again by each call, for ever. So an opening has a goroutine and a time of its
// own, and its connection goes to the call that has waited longest. There are at least as
// many openings as waiting calls: the opening of a call that gave up serves a later call.
type opener struct {
	pool *Pool
	asks atomic.Int32 // openings that have reached the dial function
	slow atomic.Bool  // a call could not open a connection in its own time

	mu      sync.Mutex  // protects the rest; not held while the source is used
	waiting list.List   // of *waiter, the oldest first
	under   int         // openings under way
	begun   time.Time   // when the last of them began
	spare   *redis.Conn // a pointer, since a source's own connections need not be comparable
	timer   *time.Timer // closes the spare one
}

// A waiter is a call that waits for a connection.
type waiter struct {
	entry *list.Element // in opener.waiting; nil once it was taken out
	got   chan opened
}

// opened is the outcome of an opening.
type opened struct {
	conn redis.Conn
	err  error
}

// wait returns a connection, or why there is none when ctx ends.
func (o *opener) wait(ctx context.Context) (redis.Conn, error) {
	o.mu.Lock()
	if conn := o.takeSpare(); conn != nil {
		o.mu.Unlock()
		return conn, nil
	}
	w := &waiter{got: make(chan opened, 1)}
	w.entry = o.waiting.PushBack(w)
	if missing := o.waiting.Len() - o.under; missing > 0 || missing > -extra && time.Since(o.begun) >= hanging {
		o.under++
		o.begun = time.Now()
		go o.open(context.WithoutCancel(ctx)) // ends when the source has returned
	}
	begun := o.begun
	o.mu.Unlock()
	select {
	case got := <-w.got:
		return got.conn, got.err
	case <-ctx.Done():
	}
	if o.leave(w) {
		return nil, o.late(ctx, begun)
	}
	got := <-w.got // the outcome arrived at the same moment
	return got.conn, got.err
}

// leave takes a call out of the waiting ones. It returns false if the call has an outcome
// already.
func (o *opener) leave(w *waiter) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.entry == nil {
		return false
	}
	o.waiting.Remove(w.entry)
	return true
}

// late says what a call was waiting for at its deadline.
func (o *opener) late(ctx context.Context, begun time.Time) error {
	if o.asks.Load() == 0 && o.pool.full() {
		return fmt.Errorf("%w: %s: %w", pool.ErrNoConn, o.pool.limit(), ctx.Err())
	}
	return fmt.Errorf("%w: opening a connection has taken %v and goes on", ctx.Err(), time.Since(begun).Round(time.Millisecond))
}

// open opens a connection, with the values of ctx.
func (o *opener) open(ctx context.Context) {
	bound, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	asking := &asking{Context: bound, asks: &o.asks}
	conn, err := o.pool.source.GetContext(asking)
	if err == nil {
		if err = conn.Err(); err == nil {
			err = settle(conn, openTimeout)
		}
		if err != nil {
			conn.Close()
		}
	}
	if err != nil {
		err = o.pool.noConnection(bound, err)
	}
	asking.end()
	o.mu.Lock()
	o.under--
	o.mu.Unlock()
	if err == nil {
		o.slow.Store(false)
		o.give(conn)
		return
	}
	if w := o.next(); w != nil {
		w.got <- opened{err: err}
	}
}

// give hands a connection to the call that has waited longest. If no call waits, the source
// keeps the connection for the next one. If the source keeps none, the opener does.
func (o *opener) give(conn redis.Conn) {
	if w := o.next(); w != nil {
		w.got <- opened{conn: conn}
		return
	}
	if connections, ok := o.pool.source.(*redis.Pool); ok && connections.MaxIdle > 0 {
		conn.Close()
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if before := o.takeSpare(); before != nil {
		defer before.Close()
	}
	o.spare = &conn
	o.timer = time.AfterFunc(spared, func() { o.drop(&conn) })
}

// next takes out the call that has waited longest.
func (o *opener) next() *waiter {
	o.mu.Lock()
	defer o.mu.Unlock()
	oldest := o.waiting.Front()
	if oldest == nil {
		return nil
	}
	w := o.waiting.Remove(oldest).(*waiter)
	w.entry = nil
	return w
}

// takeSpare returns the spare connection, if there is one. o.mu is held.
func (o *opener) takeSpare() redis.Conn {
	conn := o.spare
	if conn == nil {
		return nil
	}
	o.timer.Stop()
	o.spare, o.timer = nil, nil
	return *conn
}

// drop closes conn if it is still the spare connection.
func (o *opener) drop(conn *redis.Conn) {
	o.mu.Lock()
	spare := o.spare == conn
	if spare {
		o.spare, o.timer = nil, nil
	}
	o.mu.Unlock()
	if spare {
		(*conn).Close()
	}
}

// asking is the context of an opening. It counts openings that have reached the dial
// function. A redis.Pool that waits for a free connection only calls Done. A dial calls
// Deadline or Value.
type asking struct {
	context.Context
	asks  *atomic.Int32
	state atomic.Int32 // 0, asked or over
}

const (
	asked = 1
	over  = 2
)

func (a *asking) note() {
	if a.state.CompareAndSwap(0, asked) {
		a.asks.Add(1)
	}
}

func (a *asking) end() {
	if a.state.Swap(over) == asked {
		a.asks.Add(-1)
	}
}

func (a *asking) Deadline() (time.Time, bool) {
	a.note()
	return a.Context.Deadline()
}

func (a *asking) Value(key any) any {
	a.note()
	return a.Context.Value(key)
}
