package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/redlock"
)

// A series is a process that publishes, or reads, a few times. A watcher is one that is told.

// beginSeries starts one.
func (c *client) beginSeries(e event) {
	switch e.Kind {
	case watchCall:
		c.watch(e)
		return
	case observe:
		c.observe(e)
		return
	}
	c.world.busy.Add(1)
	c.calls.Add(1)
	go func() { // ends when it has done all, or with the process
		defer c.calls.Done()
		for i := range e.Times {
			if c.rest(e, i, nil) {
				c.one(e, i)
			}
		}
		c.world.busy.Add(-1)
		c.world.wake()
	}()
}

// rest waits before the next operation of a series. It returns false if the process dies, or
// when stop is closed.
func (c *client) rest(e event, i int, stop <-chan struct{}) bool {
	chance := newLuck(c.world.plan.Seed, e.Call, i)
	timer := time.NewTimer(chance.between(1, max(e.For/time.Duration(e.Times), 2)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
	case <-c.ended:
	}
	return false
}

// one is one operation.
func (c *client) one(e event, i int) {
	ctx, cancel := c.operation(e, i)
	defer cancel()
	what := fmt.Sprintf("%v's %s %d.%d", c, e.Kind, e.Call, i)
	text := fmt.Sprintf("value %d.%d", e.Call, i)
	begun := c.world.now()
	switch e.Kind {
	case publish:
		c.asks(c.world.board.asked, text)
		v, err := c.board.Publish(ctx, e.Name, text, board.WithRetention(e.Retention))
		c.saw("%s: %q %v: %v", what, text, v, err)
		c.wrote(what, begun, text, v, err)
	case latestCall:
		entry, err := c.board.Latest(ctx, e.Name)
		c.saw("%s: %q %v: %v", what, entry.Value, entry.Version, err)
		c.read(what, begun, entry, err)
	case leaderCall:
		l, err := c.election.Leader(ctx)
		c.saw("%s: %+v: %v", what, l, err)
		c.readLeader(what, begun, l, err)
	}
}

// operation is the context of one operation. If it has a pause it is stopped after its first
// request, sometimes.
func (c *client) operation(e event, i int) (context.Context, context.CancelFunc) {
	ctx := context.Background()
	chance := newLuck(c.world.plan.Seed, e.Call, i, 1)
	if e.Pause > 0 && c.spec.Pipelined && !c.world.plan.Real && chance.in(2) {
		s := &session{event: e, client: c}
		if until := c.world.now() + e.Pause; until < c.world.plan.Length {
			s.stop.Store(int64(until))
		}
		ctx = context.WithValue(ctx, sessionKey{}, s)
	}
	if e.Patience > 0 && e.publishes() {
		return context.WithTimeout(ctx, e.Patience)
	}
	return ctx, func() {}
}

func (c *client) saw(format string, args ...any) {
	if c.world.tracing && !c.dead.Load() {
		c.world.say(c, format, args...)
	}
}

// asks notes that somebody begins to write a text.
func (c *client) asks(asked map[string]bool, text string) {
	c.world.tell(c, func() { asked[text] = true })
}

// wrote notes a text that was published.
func (c *client) wrote(what string, begun time.Duration, text string, v board.Version, err error) {
	w := c.world
	o := op[board.Version]{what: what, writes: true, begun: begun, ended: w.now(), version: v, text: text}
	if err == nil {
		w.tell(c, func() {
			w.did["a value was published"]++
			w.board.add(o)
		})
	}
}

// read notes what Latest has found.
func (c *client) read(what string, begun time.Duration, e board.Entry, err error) {
	w := c.world
	o := op[board.Version]{what: what, begun: begun, ended: w.now(), version: e.Version, text: e.Value, gone: errors.Is(err, board.ErrExpired)}
	switch {
	case err == nil || o.gone:
	case errors.Is(err, board.ErrNotPublished):
		e.Confirmed = true
	default:
		return
	}
	w.tell(c, func() {
		w.did["a value was read"]++
		if !e.Confirmed {
			w.did["a value was read that could not be written back"]++
			w.board.known(o)
			return
		}
		w.board.add(o)
	})
}

// watch starts a watcher.
func (c *client) watch(e event) {
	x := &watching[board.Version]{event: e, client: c, begun: c.world.now()}
	ctx, cancel := c.watcher(e)
	changes, err := c.board.Watch(ctx, e.Name)
	if err != nil {
		cancel()
		return // the run is over: the Locker is closed
	}
	w := c.world
	w.boardWatchers = append(w.boardWatchers, x)
	go func() { // ends with its context, or the Locker
		defer cancel()
		for change := range changes {
			what := fmt.Sprintf("%v's %s %d", c, e.Kind, e.Call)
			c.saw("%s: %v %q %v: %v", what, change.Kind, change.Entry.Value, change.Entry.Version, change.Err)
			o := op[board.Version]{what: what, begun: x.begun, ended: w.now(), version: change.Entry.Version, text: change.Entry.Value, gone: change.Kind == board.Expired}
			w.tell(c, func() {
				w.did["a watcher was notified"]++
				switch {
				case change.Kind == board.Unknown:
					x.told, x.lost = true, true
					return
				case change.Kind == board.None:
					x.none, o.version = true, board.Version{}
				}
				w.board.sees(x, o)
				if !change.Entry.Confirmed {
					w.board.known(o)
					return
				}
				w.board.add(o)
			})
		}
		w.tell(c, func() { x.ended = true })
	}()
}

// watcher is the context of one.
func (c *client) watcher(e event) (context.Context, context.CancelFunc) {
	if e.For > 0 {
		return context.WithTimeout(context.Background(), e.For)
	}
	return context.WithCancel(context.Background())
}

// observe starts an observer.
func (c *client) observe(e event) {
	x := &watching[node.Version]{event: e, client: c, begun: c.world.now()}
	ctx, cancel := c.watcher(e)
	changes, err := c.election.Observe(ctx)
	if err != nil {
		cancel()
		return // the run is over: the Locker is closed
	}
	w := c.world
	w.observers = append(w.observers, x)
	go func() { // ends with its context, or the Locker
		defer cancel()
		for change := range changes {
			what := fmt.Sprintf("%v's %s %d", c, e.Kind, e.Call)
			c.saw("%s: %v %+v: %v", what, change.Kind, change.Leader, change.Err)
			now := w.now()
			w.tell(c, func() {
				w.did["an observer was notified"]++
				switch change.Kind {
				case election.Unknown:
					x.told, x.lost = true, true
				case election.None:
					x.told, x.none, x.lost = true, true, false
				default:
					o := leaderOp(what, x.begun, now, change.Leader)
					w.lookElected(what, change.Leader)
					w.elected.sees(x, o)
					if !change.Leader.Confirmed {
						w.elected.known(o)
						return
					}
					w.elected.add(o)
				}
			})
		}
		w.tell(c, func() { x.ended = true })
	}()
}

// publishAs is one value that a holder of the pen publishes.
func (s *session) publishAs(lock *redlock.Lock, i int) {
	c := s.client
	ctx, cancel := c.operation(s.event, i)
	defer cancel()
	what := fmt.Sprintf("%v's %s %d.%d", c, s.Kind, s.Call, i)
	text := fmt.Sprintf("value %d.%d", s.Call, i)
	c.asks(c.world.board.asked, text)
	begun := c.world.now()
	v, err := c.board.PublishAs(ctx, lock, boardPath, text, board.WithRetention(s.Retention))
	c.saw("%s: %q %v: %v", what, text, v, err)
	c.wrote(what, begun, text, v, err)
}
