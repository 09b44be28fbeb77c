package main

import (
	"context"
	crand "crypto/rand"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/random"
)

// A world is one run of a schedule, in a bubble of virtual time. All that happens to
// clients and servers happens in its loop, one thing at a time; after each of them the
// loop lets the clients' goroutines do what they can do, until all are at rest, and looks
// whether everything is as promised.
type world struct {
	plan     *schedule
	begun    time.Time
	agenda   agenda
	net      *network
	servers  []*server
	clients  []*client
	weather  weather
	owners   map[string]*session // of values, protected by mu
	attempts []func()            // that real clients have made, protected by mu

	changed   chan struct{} // holds one: a client did something
	published int
	calm      time.Duration // since when all faults have ended, 0 before
	torn      int           // or all but what is wrong with this client, from 1 on; 0 if nothing is
	healed    time.Duration // until then
	closing   bool          // all calls have ended
	rushing   bool          // from rush on: nearly all messages are fast
	past      time.Duration // see moment, 0 if it is now
	busy      atomic.Int64  // series that have not ended

	rules
	timeline
}

// weather is what is wrong with the servers and the ways to them; more than 0 is bad.
type weather struct{ lossy, resetting, doubling, slow, idling, dialing, proxied []int }

// run carries a schedule out. It is called in a bubble of its own, on its first
// goroutine.
func run(plan *schedule, tracing bool) *world {
	w := newWorld(plan, tracing)
	before := runtime.NumGoroutine()
	defer random.Seed(plan.Seed)()
	defer func(r interface{ Read([]byte) (int, error) }) { crand.Reader = r }(crand.Reader)
	crand.Reader = newNonces(plan.Seed)

	for i := range plan.Clients {
		w.clients = append(w.clients, newClient(w, i, 0))
	}
	for _, e := range plan.Events {
		w.at(e.At, func() { w.happen(e) })
	}
	w.at(plan.Length, w.endFaults)
	w.loop(func() bool { return w.calm > 0 && w.torn == 0 && w.callsOpen() == 0 && w.busy.Load() == 0 })
	w.lookWatchers()
	w.stream()
	w.rush()
	w.settle(before)
	w.letGo()
	return w
}

func newWorld(plan *schedule, tracing bool) *world {
	w := &world{plan: plan, begun: time.Now(), changed: make(chan struct{}, 1)}
	w.tracing = tracing
	w.net = &network{world: w}
	n := plan.Nodes
	for _, kind := range []*[]int{&w.weather.lossy, &w.weather.resetting, &w.weather.doubling, &w.weather.slow,
		&w.weather.idling, &w.weather.dialing, &w.weather.proxied} {
		*kind = make([]int, n)
	}
	for i := range n {
		s := newServer(i, nodeClock{now: w.moment, rate: plan.NodeRates[i], offset: plan.NodeTimes[i]})
		if plan.Real {
			s.lua = theInterpreter()
		}
		w.start(s)
		s.trusted, s.mute = !plan.New, plan.New
		w.servers = append(w.servers, s)
	}
	w.rules.begin(w)
	return w
}

func (w *world) now() time.Duration { return time.Since(w.begun) }

// moment is what the loop takes for now: the time of what it makes up for.
func (w *world) moment() time.Duration {
	if w.past > 0 {
		return w.past
	}
	return w.now()
}

func (w *world) at(at time.Duration, do func()) { w.agenda.add(at, false, do) }

// quietlyAt is at for what changes servers only. Clients notice it later, after the least
// that a message takes, so until then the loop need not wake: see catchUp.
func (w *world) quietlyAt(at time.Duration, do func()) { w.agenda.add(at, true, do) }

func (w *world) after(d time.Duration, do func()) { w.at(w.moment()+d, do) }

// wake notifies the loop of a change.
func (w *world) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// loop goes on until over, or a rule is broken.
func (w *world) loop(over func() bool) {
	timer := time.NewTimer(hour)
	defer timer.Stop()
	for quiet := false; ; {
		if !quiet {
			synctest.Wait()
			select { // whatever they did is there to be seen
			case <-w.changed:
			default:
			}
			w.catchUp()
			w.net.dispatch()
			w.collect()
		}
		w.look()
		if w.broken != nil || over() {
			return
		}
		at, some := w.agenda.next(w.least())
		if !some { // but timers of the library
			at = w.now() + hour
			w.at(at, func() {
				w.violated(progress, "for an hour nothing happened, and %d calls have not returned", w.callsOpen())
			})
		}
		if wait := at - w.now(); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-w.changed:
				quiet = false
				continue
			}
		}
		w.catchUp()
		if quiet = !w.agenda.due(w.now()); !quiet {
			w.agenda.loud.take().do()
		}
	}
}

// catchUp carries out what has changed servers since the loop was last awake, up to what
// comes next, as of when it happened.
func (w *world) catchUp() {
	for now := w.now(); w.broken == nil && w.agenda.missed(now); w.past = 0 {
		next := w.agenda.quiet.take()
		w.past = next.at
		next.do()
		w.look()
	}
}

// least is what no message takes less than.
func (w *world) least() time.Duration {
	switch {
	case w.rushing:
		return min(w.plan.Pace.Least, w.plan.NodeTimeout/(4*rushPace))
	case w.plan.Real:
		return min(w.plan.Pace.Least, w.plan.NodeTimeout/40)
	}
	return w.plan.Pace.Least
}

// delay is how long a message takes.
func (w *world) delay(chance *luck, l *link) time.Duration {
	p := w.plan.Pace
	switch {
	case w.calm > 0 && w.plan.Real: // then a server answers in time, a connection and its greeting included
		return chance.between(w.least(), w.plan.NodeTimeout/10)
	case w.closing && w.late(chance, l): // or a little late
		return chance.between(p.Least, 2*w.plan.NodeTimeout)
	case w.rushing:
		return chance.between(w.least(), w.plan.NodeTimeout/rushPace)
	case w.calm > 0:
		return chance.between(p.Least, min(p.Most, w.plan.NodeTimeout/3))
	}
	d := chance.between(p.Least, p.Most)
	if chance.in(25) {
		d += chance.between(0, p.Odd)
	}
	if w.weather.slow[l.server.index] > 0 && chance.in(2) {
		d += chance.between(0, 2*w.plan.NodeTimeout)
	}
	return d
}

// late reports whether a message is late though all is well: one in eight, when no
// client waits for a lock any more. Of a pipelined client all are in one of twelve times of a
// node timeout: there one late message delays all later ones, and hardly a batch would be in
// time.
func (w *world) late(chance *luck, l *link) bool {
	if l.client.spec.Pipelined {
		now := newLuck(w.plan.Seed, l.client.index, l.server.index, int(w.moment()/w.plan.NodeTimeout))
		return now.in(12)
	}
	return chance.in(8)
}

// settle closes everything, as processes do at their end, and waits until nothing is
// under way.
func (w *world) settle(goroutines int) {
	fine := w.broken == nil
	w.closing = true
	var closing sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	if !fine {
		cancel() // it is known that something is wrong: only get out of here
		for _, c := range w.clients {
			c.kill()
		}
	}
	defer cancel()
	var done atomic.Bool
	for _, c := range w.clients {
		closing.Go(func() { c.close(ctx) })
	}
	go func() { // ends when all are closed
		closing.Wait()
		done.Store(true)
		w.wake()
	}()
	limit := w.now() + w.closingBound()
	w.at(limit, func() {
		if !done.Load() && fine {
			w.violated(closingEnds, "a Locker is not closed after %v of calm", w.closingBound())
			cancel()
		}
	})
	broken := w.broken
	w.broken = nil
	w.loop(func() bool { return done.Load() })
	if !done.Load() { // broken just now
		cancel()
		for _, c := range w.clients {
			c.kill()
		}
		second := w.broken
		w.broken = nil
		w.loop(func() bool { return done.Load() })
		w.broken = second
	}
	if broken != nil {
		w.broken = broken
	}
	if w.broken == nil {
		w.lookForOrphans()
		w.lookForGoroutines(goroutines)
	}
	broken = w.broken
	w.broken = nil
	w.drain()
	if w.broken = broken; broken == nil {
		w.lookForKeys()
	}
}

// letGo cuts the way from pools to Lockers. The library keeps the pools of a Locker for as
// long as there is the Locker: services have no such way back, and without an end of it
// no run would ever be collected.
func (w *world) letGo() {
	for _, c := range slices.Concat(w.dead, w.clients) {
		c.world, c.locker, c.clock, c.closers = nil, nil, nil, nil
		for _, l := range c.links {
			*l = link{sent: l.sent}
		}
	}
}

// drain lets what is under way come to an end.
func (w *world) drain() {
	w.at(w.now()+clientTimeout+4*w.plan.TTL, func() {})
	w.loop(func() bool { return w.agenda.empty() })
	synctest.Wait()
}
