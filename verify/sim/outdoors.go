package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// Faults between clients and servers: balancers that cut idle connections, networks in which
// to connect takes long, proxies that answer instead of their server, addresses behind which
// another server becomes the master.

var (
	errEnded    = io.EOF
	errDialed   = fmt.Errorf("%w: dial: %w", pool.ErrNotSent, errTimeout)
	errProxy    = pool.Error("ERR Connection timed out")
	errReadOnly = pool.Error("READONLY You can't write against a read only replica.")
)

// outdoors is what becomes of a message in such weather. It returns false if the message
// goes its way, which may have become longer.
func (n *network) outdoors(m *message, there *time.Duration, back time.Duration) (done bool) {
	w, l := n.world, m.link
	weather, at := w.weather, l.server.index
	chance := newLuck(w.plan.Seed, l.client.index, l.client.life, at, m.seq, 1)
	if weather.dialing[at] > 0 && m.args[0] == "CONNECT" && !chance.in(3) {
		w.did["a dial was slow"]++
		*there += chance.between(0, 3*w.plan.NodeTimeout)
		return false
	}
	if m.key() == "" || m.sub != nil || m.conn != nil && m.conn.mute {
		return false
	}
	switch {
	case weather.dialing[at] > 0 && m.conn == nil && chance.in(2):
		w.did["a dial was slow"]++
		takes := chance.between(time.Microsecond, 3*w.plan.NodeTimeout)
		w.note(l.client, l.server, "has no connection for %v, and does not get one in %v", m, takes)
		n.mu.Lock()
		m.idle = true
		n.mu.Unlock()
		w.after(takes, func() { n.finish(m, result{err: errDialed}) })
	case weather.idling[at] > 0 && chance.in(3):
		w.did["an idle connection had ended"]++
		w.note(l.client, l.server, "sends %v, and the connection HAS ENDED", m)
		n.belated(&chance, m, *there)
		if m.conn != nil {
			m.conn.mute = true
		}
		w.after(chance.between(time.Microsecond, 20*time.Microsecond), func() { n.finish(m, result{err: errEnded}) })
	case weather.proxied[at] > 0 && chance.in(3) && (m.conn == nil || m.conn.open == 1): // it keeps the order of replies
		w.did["a proxy answered"]++
		w.note(l.client, l.server, "sends %v, and a PROXY answers", m)
		n.belated(&chance, m, *there)
		arrival := w.moment() + *there + back
		if lane := m.lane(); lane != nil {
			arrival = lane.order(arrival, &chance)
		}
		w.at(arrival, func() { n.finish(m, result{err: errProxy}) })
	default:
		return false
	}
	return true
}

// belated carries out a request although its sender got another answer: up to a TTL after it
// was sent, or never.
func (n *network) belated(chance *luck, m *message, there time.Duration) {
	if chance.in(2) {
		return
	}
	w := n.world
	again := *m
	again.late = true
	in := max(there, chance.between(0, w.plan.TTL)/time.Duration(1+chance.below(20)))
	w.quietlyAt(w.moment()+min(in, w.plan.TTL), func() { n.arrive(&again, 0, true) })
}

// givenUp is the error of a call that ended by its context.
func (n *network) givenUp(m *message, err error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if m.idle {
		return fmt.Errorf("%w: %w", pool.ErrNotSent, err)
	}
	return err
}

// demote has a server refuse writes for a time. With real clients another server becomes the
// master behind the address, with all that this one has. A client with a connection to this
// one may not write until it opens another.
func (w *world) demote(s *server, lasts time.Duration) {
	if !w.plan.Real {
		w.meanwhile(&s.demoted, lasts, nil)
		return
	}
	for _, c := range s.conns {
		c.old = true
	}
}

// A sentAway call has waited for a lock, and ended without it.
type sentAway struct {
	*session
	err error
}

// sendsAway notes such a call. It is called by goroutines of clients.
func (w *world) sendsAway(s sentAway) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = append(w.away, s)
}

// lookSentAway checks that a wait without a deadline ends with the lock: no passing fault of a
// server, or of what is before it, ends the wait.
func (w *world) lookSentAway() {
	w.mu.Lock()
	away := w.away
	w.away = nil
	w.mu.Unlock()
	for _, s := range away {
		if s.waits() && s.Patience == 0 && !s.cancelled && !s.client.dead.Load() && !errors.Is(s.err, errDead) {
			w.violated(noSendAway, "%v (call %d) wanted to wait for %s as long as it takes: %v", s.client, s.Call, s.Name, s.err)
		}
	}
}

const (
	// rushPace says how short messages take then, as a part of the node timeout. The pauses are
	// random: with 10, nobody got the lock once in some 100,000 schedules. See Locker.TryLock.
	rushPace = 20
	rushName = "rush"
	rushCall = 1000 // numbers of calls from here on
)

// rush lets several callers try a free lock at one instant, when all else is over and calm.
// Some servers may be down, if a majority is there. One of the callers has to get it.
func (w *world) rush() {
	if w.plan.Rush == 0 || w.broken != nil {
		return
	}
	healthy := 0
	for i, s := range w.servers {
		if i >= w.plan.Away && !s.keepsOut() {
			healthy++
		}
	}
	if healthy < w.majority() {
		return
	}
	// What clients could not interrupt returns, and connections are made again.
	w.rushing = true
	rest := w.moment() + clientTimeout + 2*w.plan.NodeTimeout
	w.at(rest, func() {})
	w.loop(func() bool { return w.moment() >= rest })
	for i, s := range w.servers {
		for _, c := range s.conns {
			if c.old { // the old server goes
				c.mute = true
				c.receive(result{err: errEnded})
			}
		}
		if i < w.plan.Away {
			w.hangUp(s)
			s.down++
		}
	}
	w.note(nil, nil, "%d TRY %s, %d servers are down", w.plan.Rush, rushName, w.plan.Away)
	var callers []*session
	for i := range w.plan.Rush {
		e := event{At: w.moment(), Kind: tryCall, Client: i % len(w.clients), Call: rushCall + i, Name: rushName, For: w.plan.TTL / 4}
		if w.plan.RushMore {
			e = w.plan.rushMore(e, i)
		}
		callers = append(callers, w.clients[e.Client].begin(e))
	}
	w.calls = append(w.calls, callers...)
	w.loop(func() bool { return w.callsOpen() == 0 })
	w.did["some tried a free lock at one instant"]++
	got := 0
	for _, s := range callers {
		if s.held.Load() != nil {
			got++
		}
	}
	if got == 0 {
		w.violated(oneGets, "%d callers tried a lock that was free, and none got it", len(callers))
	}
	for _, s := range w.servers[:w.plan.Away] {
		s.down--
	}
}
