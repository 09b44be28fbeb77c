// Package node speaks to one Redis node: it knows the commands and scripts of
// the lock and the differences between servers, and it bounds what a node that
// does not answer can hold.
package node

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// maxWorkers bounds the calls that are with the client at once, and so the
// goroutines per node. Client pools rarely have more connections; calls above
// it wait in a queue, without a goroutine, until their deadline.
const maxWorkers = 128

// maxAhead bounds the calls that are with a client that queues by itself. It is more
// than a node that answers needs to be busy, and what one that has just frozen gets
// before the first deadline has come.
const maxAhead = 1024

type (
	flag = atomic.Bool
	kept = atomic.Uint32 // a form
)

// A Node is one Redis node. It is safe for concurrent use.
type Node struct {
	pool      pool.Pool
	submitter pool.Submitter // pool, if it queues by itself: then there are no workers
	bounded   bool           // it returns by the deadline, or soon after

	// Changed, if not nil, is called with an error when every call has failed for
	// failPeriod, and with nil when one succeeds again. It must not block. It is
	// set before the first call.
	Changed func(failure error)

	// NoConn, if not nil, is called when the client had no connection for a call. It must
	// not block. It is set before the first call.
	NoConn func()

	// Fresh is for how long what the node said about its time says what time it is now; 0
	// is for ever. Our clock may be faster than the node's. It is set before the first call.
	Fresh time.Duration

	*Known // about the server

	made   time.Time    // the node
	offset atomic.Int64 // its clock, less microseconds since made; 0 if it did not say
	told   atomic.Int64 // when it said so last, in microseconds since made; set after offset

	examined chan struct{} // has room for one: an examination is under way
	listing  chan struct{} // the same for a listing

	mu      sync.Mutex // protects the rest; never held while the client is called
	gate    gate
	health  health
	flying  flights // calls neither answered nor given up
	workers int     // that have a call
	ahead   int     // calls that are with the submitter
	queue   []*Call // calls without a worker, or beyond maxAhead, oldest first
	parked  parking // workers without a call
	resends resends // calls to be sent again
	trouble error   // see troubled
}

// New returns the node behind p.
func New(p pool.Pool) *Node {
	n := &Node{pool: p, Known: new(Known), made: time.Now(), examined: make(chan struct{}, 1), listing: make(chan struct{}, 1)}
	n.gate.since = n.made
	n.submitter, _ = p.(pool.Submitter)
	if _, ok := p.(pool.Bounded); ok {
		n.bounded = n.submitter == nil
	}
	n.flying.init(n, n.giveUp)
	n.parked.init(n.unpark)
	return n
}

// String names the node, without credentials.
func (n *Node) String() string { return n.pool.String() }

// Start sends the call's request and returns at once; what becomes of it is
// told to the receiver. If the gate is closed it returns an error that matches ErrBusy
// instead: then nothing was sent and the receiver hears nothing.
func (n *Node) Start(c *Call) error {
	n.mu.Lock()
	ok, probe := n.gate.admit(c)
	busy := n.gate.busy()
	next := c
	if probe {
		// The refused call pays for a PING and gets as long as it had.
		next = n.newProbe(c)
	}
	submit := (ok || probe) && n.launch(next)
	n.mu.Unlock()
	if submit {
		n.submit(next)
	}
	if !ok {
		return busy
	}
	return nil
}

// Run is Start on the goroutine of the caller, who has nothing else to wait for: it
// returns when the call was answered or given up, where the client is bounded by the
// deadline. Elsewhere, and where calls wait for a worker already, it is Start.
func (n *Node) Run(c *Call) error {
	n.mu.Lock()
	ok, _ := n.gate.admit(c)
	if !ok || !n.bounded || n.workers == maxWorkers {
		if n.gate.probe == c { // admitted again below
			n.gate.probe = nil
		}
		n.mu.Unlock()
		return n.Start(c)
	}
	n.flying.add(c)
	n.workers++
	c.state = sent
	n.mu.Unlock()

	defer n.leave() // also if a hook of the user's panics, and he recovers
	n.converse(c)
	return nil
}

// leave gives up the place of a worker.
func (n *Node) leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if next := n.dequeue(); next != nil {
		go n.work(next) // with this one's place; ends as others do
	} else {
		n.workers--
	}
}

// launch hands a call to a worker. Where there are none it reports whether to submit
// the call. n.mu is held.
func (n *Node) launch(c *Call) (submit bool) {
	n.flying.add(c)
	return n.dispatch(c, false)
}

// dispatch is launch for a call that is in flight already. One that was sent before
// is the first to be sent again. n.mu is held.
func (n *Node) dispatch(c *Call, again bool) (submit bool) {
	full := n.workers == maxWorkers
	if n.submitter != nil {
		full = n.ahead >= maxAhead && c != n.gate.probe
	}
	switch {
	case full && again:
		c.state = queued
		n.queue = slices.Insert(n.queue, 0, c)
		return false
	case full:
		n.queue = append(n.queue, c)
		return false
	case n.submitter != nil:
		n.ahead++
		c.state = sent
		return true
	}
	n.workers++
	c.state = sent
	if w := n.parked.take(); w != nil {
		w <- c
		return false
	}
	go n.work(c) // ends when it finds no more calls and no place to park
	return false
}

var pingRequest = NewRequest(ping, NewLease("", ""), 0, Mark{})

func (n *Node) newProbe(refused *Call) *Call {
	deadline := MakeDeadline(context.Background(), time.Until(refused.Deadline.at))
	n.gate.probe = &Call{Request: pingRequest, Deadline: &deadline, Receiver: nobody{}}
	return n.gate.probe
}

// nobody waits for a probe: the gate sees its answer.
type nobody struct{}

func (nobody) Answer(*Call, Answer) {}
func (nobody) Late(*Call, Answer)   {}

// finish tells the receiver what became of c.
func (n *Node) finish(c *Call, a Answer) {
	n.mu.Lock()
	late := c.state == givenUp
	if !late {
		n.flying.remove(c)
	}
	a.At = time.Now()
	n.hearTime(c.Request, &a, late)
	n.gate.returned(c, &a, a.At)
	a.Work = n.gate.work(a.At)
	if a.Lost = c.lost; a.Answered() {
		n.connectionsLast()
	}
	if a.Err != nil {
		a.Err = n.explain(c, a.Err)
	}
	n.troubled(&a)
	a.Before = n.health.well
	changed, failure := n.health.note(&a), a.Err
	if !n.health.reported {
		failure = nil
	}
	c.state = done
	refused := n.turnAway()
	due := n.returned()
	n.mu.Unlock()

	if due != nil {
		n.submit(due)
	}
	if late {
		c.Receiver.Late(c, a)
	} else {
		c.Receiver.Answer(c, a)
	}
	n.report(changed, failure, refused)
	if a.Err != nil && n.NoConn != nil && errors.Is(a.Err, pool.ErrNoConn) { // also if it says so late
		n.NoConn()
	}
}

// backfill submits a call in the place of one that is paused.
func (n *Node) backfill() {
	n.mu.Lock()
	due := n.returned()
	n.mu.Unlock()
	if due != nil {
		n.submit(due)
	}
}

// returned notes that the submitter returned a call, and returns one that it may have
// now, if any waits. n.mu is held.
func (n *Node) returned() (due *Call) {
	if n.submitter == nil {
		return nil
	}
	if due = n.dequeue(); due == nil {
		n.ahead--
	}
	return due
}

// turnAway takes the calls out of the queue if the gate has closed: they were
// admitted before, but would only add to what the node holds. Those that were sent
// before, and are to be sent again, stay: they hold something there already. n.mu is held.
func (n *Node) turnAway() (refused []*Call) {
	if len(n.queue) == 0 || !n.gate.closed() {
		return nil
	}
	var stay []*Call
	for _, c := range n.queue {
		if c.lost {
			stay = append(stay, c)
			continue
		}
		n.flying.remove(c)
		n.gate.neverSent(c)
		c.state = done
		refused = append(refused, c)
	}
	n.queue = stay
	return refused
}

func (n *Node) dequeue() *Call {
	if len(n.queue) == 0 {
		n.queue = nil // let go of the array that was sliced away
		return nil
	}
	c := n.queue[0]
	n.queue[0] = nil
	n.queue = n.queue[1:]
	c.state = sent
	return c
}

// giveUp ends the calls whose deadline has come. It runs on the timer of
// n.flying.
func (n *Node) giveUp() {
	n.mu.Lock()
	now := time.Now()
	if n.flying.late(now) {
		n.mu.Unlock()
		return
	}
	overdue := n.flying.due(now)
	answers := make([]Answer, len(overdue))
	changed, waited, failure := false, false, error(nil)
	for i, c := range overdue {
		a := &answers[i]
		*a = Answer{Err: n.noAnswer(c), InClient: c.state == sent, Lost: c.lost, At: now}
		if a.InClient {
			n.gate.gaveUp(c, now)
		} else {
			n.gate.neverSent(c)
			waited = true
		}
		if a.Lost && !a.InClient {
			n.gate.unanswered(c, now)
		}
		a.Work = n.gate.work(now)
		changed, failure = n.health.note(a) || changed, a.Err
		c.state = givenUp
	}
	if waited { // they must not be found there when they are used for something else
		n.queue = slices.DeleteFunc(n.queue, func(c *Call) bool { return c.state != queued })
		n.resends.paused = slices.DeleteFunc(n.resends.paused, func(c *Call) bool { return c.state != paused })
	}
	refused := n.turnAway()
	n.mu.Unlock()

	for i, c := range overdue {
		c.Deadline.pass() // the client sees its context end
		c.Receiver.Answer(c, answers[i])
	}
	n.report(changed, failure, refused)
}

// report tells those concerned what calls have led to.
func (n *Node) report(changed bool, failure error, refused []*Call) {
	if len(refused) > 0 {
		n.mu.Lock()
		busy := n.gate.busy()
		n.mu.Unlock()
		for _, c := range refused {
			c.Receiver.Answer(c, Answer{Err: busy, At: time.Now()})
		}
	}
	if changed && n.Changed != nil {
		n.Changed(failure)
	}
}

// A Pulse is what is known of how a node answers.
type Pulse struct {
	Answers bool          // it answered the last that was asked of it
	Heard   time.Time     // when it was heard last
	Work    time.Duration // how long it has been answering until then, in all
	Since   time.Time     // the end of its last silence, or when the Node was made
	Hush    time.Duration // how long that silence had been; 0 if there was none
}

// Pulse returns what is known of how the node answers.
func (n *Node) Pulse() Pulse {
	n.mu.Lock()
	defer n.mu.Unlock()
	g := &n.gate
	return Pulse{Answers: !g.hushed(), Heard: g.heard, Work: g.answered(), Since: g.since, Hush: g.hush}
}

// unpark runs on the timer of n.parked.
func (n *Node) unpark() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.parked.tick()
}

// Stop lets go of the timers and of the workers without a call. Calls that are
// under way still end at their deadline, and so does the node work, without
// keeping anything in reserve.
func (n *Node) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.flying.stopIfEmpty()
	n.parked.close()
}
