package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A network carries messages between clients and servers. What clients send at one
// instant lies in the outbox until all of them are at rest; then the loop of the world
// takes it out, in an order that does not depend on which goroutine came first, and
// decides what becomes of it.
type network struct {
	world *world

	mu     sync.Mutex
	outbox []*message
}

// A message is one command on its way, and what becomes of it for its sender.
type message struct {
	link  *link
	args  []any
	call  *session // that it belongs to, nil for what happens in the background
	sub   *subscription
	conn  *conn // of a real client, which it came on
	order int   // on that
	seq   int   // of the link
	sent  time.Duration
	over  time.Duration // when its client gives it up by itself
	twin  bool          // it is carried out for the second time
	late  bool          // its sender got another answer; it is on its way all the same
	idle  bool          // no connection was there for it: it was not sent. Protected by the network's mu

	reply    chan result   // of Do
	receiver pool.Receiver // of Submit
	finished bool
}

type result struct {
	reply any
	err   error
}

const (
	// clientTimeout is when a client gives a command up that has no earlier deadline: what pool.Submitter calls a few seconds.
	clientTimeout = 2 * time.Second
)

var (
	errReset   = errors.New("connection reset by peer")
	errTimeout = errors.New("i/o timeout")
	errRefused = fmt.Errorf("%w: connection refused", pool.ErrNotSent)
	errDead    = fmt.Errorf("%w: the process is dead", pool.ErrNotSent)
)

// send puts a message into the outbox. It returns false if the process is dead.
func (n *network) send(m *message) bool {
	if m.link.client.dead.Load() {
		return false
	}
	n.later(m)
	return true
}

func (n *network) later(m *message) {
	n.mu.Lock()
	n.outbox = append(n.outbox, m)
	n.mu.Unlock()
	n.world.wake()
}

// dispatch decides what becomes of what was sent at this instant.
func (n *network) dispatch() {
	n.mu.Lock()
	out := n.outbox
	n.outbox = nil
	n.mu.Unlock()
	n.world.take(&n.world.attempts)
	for _, m := range out { // in the order of sending: a call that was stopped may begin two attempts now
		m.noteAttempt()
	}
	if len(out) > 1 {
		slices.SortStableFunc(out, byRoute)
	}
	for _, m := range out {
		if !m.link.client.dead.Load() { // a dead client sends nothing
			m.link.sent++
		}
		m.seq = m.link.sent
		n.route(m)
	}
}

// noteAttempt notes which attempt of its call a message is of.
func (m *message) noteAttempt() {
	if m.call != nil && m.sets() {
		m.call.attempt(m.value())
		if call, inTurn := m.inTurn(); inTurn {
			m.call.waiterID = text(call.Arg("waiter"))
			if ticket := number(call.Arg("ticket")); ticket != 0 {
				m.call.ticket = ticket
			}
		}
	}
}

// byRoute is an order that does not depend on which came first at this instant.
func byRoute(a, b *message) int {
	if a.link != b.link {
		return cmp.Or(cmp.Compare(a.link.client.index, b.link.client.index),
			cmp.Compare(a.link.client.life, b.link.client.life), cmp.Compare(a.link.server.index, b.link.server.index))
	}
	if a.conn != nil {
		return cmp.Or(cmp.Compare(a.conn.id, b.conn.id), cmp.Compare(a.order, b.order))
	}
	for i := range min(len(a.args), len(b.args)) {
		if c := cmp.Compare(text(a.args[i]), text(b.args[i])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a.args), len(b.args))
}

// route sends one message on its way, or loses it.
func (n *network) route(m *message) {
	w, l := n.world, m.link
	if c := m.conn; c != nil {
		m.call = w.owner(m.value())
		m.noteAttempt()
		if m.reply == nil {
			c.open++
		}
		if c.id == 0 {
			c.id = m.seq
		}
	}
	if l.client.dead.Load() {
		w.after(time.Microsecond, func() { n.finish(m, result{err: errDead}) })
		return
	}
	chance := newLuck(w.plan.Seed, l.client.index, l.client.life, l.server.index, m.seq)
	m.sent = w.moment()
	m.over = m.sent + clientTimeout + chance.between(0, time.Millisecond)
	there, back := w.delay(&chance, l), w.delay(&chance, l)
	if n.outdoors(m, &there, back) {
		return
	}
	if w.weather.lossy[l.server.index] > 0 && chance.in(4) || l.cutTo > 0 || m.conn != nil && m.conn.mute {
		if m.conn != nil {
			m.conn.mute = true
		}
		if at, again := n.sentAgain(&chance, m); again {
			w.did["a request was sent again after a cut"]++
			w.note(l.client, l.server, "sends %v: LOST, and sent again %v after", m, at-m.sent)
			n.unanswered(m)
			w.quietlyAt(at, func() { n.arrive(m, back, true) })
			return
		}
		w.did["a request was lost"]++
		w.note(l.client, l.server, "sends %v: LOST", m)
		n.unanswered(m)
		return
	}
	if w.weather.resetting[l.server.index] > 0 && chance.in(3) {
		w.did["a connection broke"]++
		w.note(l.client, l.server, "sends %v, and the connection BREAKS", m)
		w.after(there/2, func() { n.finish(m, result{err: errReset}) })
	} else if w.tracing {
		w.note(l.client, l.server, "sends %v", m)
	}
	arrival := w.moment() + there
	if lane := m.lane(); lane != nil {
		arrival = max(arrival, lane.there+chance.between(1, time.Microsecond))
		lane.there = arrival
	}
	if arrival+back > m.over {
		n.unanswered(m)
	}
	lost := w.weather.lossy[l.server.index] > 0 && chance.in(4)
	w.quietlyAt(arrival, func() { n.arrive(m, back, lost) })
	if w.weather.doubling[l.server.index] > 0 && chance.in(3) && m.sub == nil && m.key() != "" {
		twin := *m
		twin.twin = true
		again := arrival + w.delay(&chance, l) + chance.between(0, w.plan.TTL)/time.Duration(1+chance.below(20))
		w.quietlyAt(again, func() { n.arrive(&twin, 0, true) })
	}
}

// sentAgain reports whether a request that is lost in a cut is sent again by the client's
// kernel: one in three of those on connections of their own. It does so in longer and
// longer intervals, up to what has passed, so it may come as long after the cut. (Nothing
// is promised about a request that arrives more than a TTL after the cut.)
func (n *network) sentAgain(chance *luck, m *message) (at time.Duration, again bool) {
	w, l := n.world, m.link
	if l.cutTo == 0 || l.healed <= m.sent || m.conn != nil || m.lane() != nil || m.sub != nil || !chance.in(3) {
		return 0, false
	}
	return l.healed + chance.between(0, min(l.healed-m.sent, w.plan.TTL)), true
}

// arrive is when a message is with its server.
func (n *network) arrive(m *message, back time.Duration, lost bool) {
	w, s := n.world, m.link.server
	switch {
	case s.down > 0:
		w.did["a node was down"]++
		w.note(nil, s, "refuses %v: it is down", m)
		w.after(back, func() { n.finish(m, result{err: errRefused}) })
		return
	case s.frozen > 0 && m.args[0] != "CONNECT": // that is for its kernel
		w.did["a node was frozen"]++
		w.note(nil, s, "is frozen; %v waits in a socket", m)
		s.held = append(s.held, waiting{m, func() { n.arrive(m, back, lost) }})
		n.unanswered(m)
		return
	}
	var r result
	obeyed := false
	switch {
	case m.sub != nil:
		r.reply, obeyed = m.sub.obey(m), true
	case m.conn != nil:
		r.reply, obeyed = m.conn.obey(m)
	}
	if !obeyed {
		r = w.execute(s, m)
	}
	if m.twin || m.late {
		return
	}
	if lost || m.link.cutOff > 0 {
		w.did["a reply was lost"]++
		w.note(m.link.client, s, "never receives %v", r)
		n.unanswered(m)
		return
	}
	arrival := w.moment() + back
	if lane := m.lane(); lane != nil {
		chance := newLuck(w.plan.Seed, m.seq)
		arrival = lane.order(arrival, &chance)
	}
	if m.sub != nil {
		m.sub.deliver(arrival, r.reply.(pool.Event))
		return
	}
	w.at(arrival, func() {
		if m.link.cutOff > 0 {
			w.did["a reply was lost"]++
			w.note(m.link.client, s, "never receives %v", r)
			n.unanswered(m)
			return
		}
		n.finish(m, r)
	})
}

// unanswered makes a client that waits without end give up in time.
func (n *network) unanswered(m *message) {
	if m.late {
		return
	}
	if m.conn != nil && m.reply == nil {
		m.conn.lostReply = true // real clients have timeouts of their own
		return
	}
	if m.receiver != nil || m.link.client.spec.Stubborn || m.conn != nil {
		n.world.at(max(m.over, n.world.moment()), func() { n.finish(m, result{err: errTimeout}) })
	}
}

// finish ends a message for its sender, once.
func (n *network) finish(m *message, r result) {
	if m.finished || m.twin || m.late || m.sub != nil {
		return
	}
	m.finished = true
	if n.world.tracing && !m.link.client.dead.Load() {
		n.world.note(m.link.client, m.link.server, "receives %v to %v", n.world.reply(r), m)
	}
	if m.conn != nil && m.reply == nil {
		m.conn.open--
		m.conn.receive(r)
		return
	}
	if m.receiver != nil {
		m.receiver.Receive(r.reply, r.err)
		return
	}
	m.reply <- r
}
