// Package node talks to one Redis node. It knows the commands and scripts of the lock and the
// differences between servers, and it bounds what a node that does not answer can hold.
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

	// Fresh is for how long the node's last statement of its time is used; 0 is for ever. Our
	// clock may be faster than the node's. It is set before the first call.
	Fresh time.Duration

	*Known // about the server

	made     time.Time    // the node
	offset   atomic.Int64 // its clock, less microseconds since made; 0 if unknown
	offsetAt atomic.Int64 // when the node stated it last, in microseconds since made; set after offset

	examined chan struct{} // has room for one examination
	listing  chan struct{} // has room for one listing

	mu            sync.Mutex // protects the rest; never held while the client is called
	breaker       breaker
	health        health
	inFlight      inFlightCalls // calls neither answered nor given up
	workers       int           // with a call
	withSubmitter int           // calls that are with the submitter
	queue         []*Call       // calls without a worker, or beyond maxWithSubmitter, oldest first
	idle          idleWorkers   // without a call
	resends       resends       // calls to be sent again
	dialErr       error         // see noteDialErr
}

// New returns the node behind p.
func New(p pool.Pool) *Node {
	n := &Node{pool: p, Known: new(Known), made: time.Now(), examined: make(chan struct{}, 1), listing: make(chan struct{}, 1)}
	n.breaker.answeringSince = n.made
	n.submitter, _ = p.(pool.Submitter)
	if _, ok := p.(pool.Bounded); ok {
		n.bounded = n.submitter == nil
	}
	n.inFlight.init(n, n.giveUp)
	n.idle.init(n.endIdle)
	return n
}

// String names the node, without credentials.
func (n *Node) String() string { return n.pool.String() }

// Start sends the call's request and returns at once. The receiver gets the answer. If the
// circuit breaker is open, Start returns an error that matches ErrBusy instead: then nothing
// was sent and the receiver is not called.
func (n *Node) Start(c *Call) error {
	n.mu.Lock()
	ok, probe := n.breaker.admit(c)
	busy := n.breaker.busy()
	next := c
	if probe {
		// A PING replaces the rejected call, and gets the time that the call had left.
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

// Run is Start on the goroutine of the caller, if the caller has nothing else to wait for. If
// the client is bounded by the deadline, Run returns when the call was answered or given up.
// Otherwise, and if calls wait for a worker already, it is Start.
func (n *Node) Run(c *Call) error {
	n.mu.Lock()
	ok, _ := n.breaker.admit(c)
	if !ok || !n.bounded || n.workers == maxWorkers {
		if n.breaker.probe == c { // admitted again below
			n.breaker.probe = nil
		}
		n.mu.Unlock()
		return n.Start(c)
	}
	n.inFlight.add(c)
	n.workers++
	c.state = sent
	n.mu.Unlock()

	defer n.endRun() // also if a hook of the user panics, and the user recovers
	n.converse(c)
	return nil
}

// endRun returns the worker slot that Run took.
func (n *Node) endRun() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if next := n.dequeue(); next != nil {
		go n.work(next) // in this slot; ends as other workers do
	} else {
		n.workers--
	}
}

var pingRequest = NewRequest(ping, NewEntry("", ""), 0, WaiterFlag{})

func (n *Node) newProbe(refused *Call) *Call {
	deadline := MakeDeadline(context.Background(), time.Until(refused.Deadline.at))
	n.breaker.probe = &Call{Request: pingRequest, Deadline: &deadline, Receiver: noReceiver{}}
	return n.breaker.probe
}

// noReceiver is the receiver of a probe: only the breaker uses the answer.
type noReceiver struct{}

func (noReceiver) Answer(*Call, Answer) {}
func (noReceiver) Late(*Call, Answer)   {}

// finish passes the answer to the receiver of c.
func (n *Node) finish(c *Call, a Answer) {
	n.mu.Lock()
	late := c.state == givenUp
	if !late {
		n.inFlight.remove(c)
	}
	a.At = time.Now()
	n.noteTime(c.Request, &a, late)
	n.breaker.returned(c, &a, a.At)
	a.AnsweredTime = n.breaker.answeredTimeBy(a.At)
	if a.SentBefore = c.sentBefore; a.Answered() {
		n.connectionLasted()
	}
	if a.Err != nil {
		a.Err = n.explain(c, a.Err)
	}
	n.noteDialErr(&a)
	a.WellBefore = n.health.well
	changed, failure := n.health.note(&a), a.Err
	if !n.health.reported {
		failure = nil
	}
	c.state = done
	refused := n.rejectQueued()
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
	if a.Err != nil && n.NoConn != nil && errors.Is(a.Err, pool.ErrNoConn) { // also if the client says so late
		n.NoConn()
	}
}

// giveUp ends the calls whose deadline has come. It runs on the timer of n.inFlight.
func (n *Node) giveUp() {
	n.mu.Lock()
	now := time.Now()
	if n.inFlight.firedLate(now) {
		n.mu.Unlock()
		return
	}
	overdue := n.inFlight.takeOverdue(now)
	answers := make([]Answer, len(overdue))
	changed, waited, failure := false, false, error(nil)
	for i, c := range overdue {
		a := &answers[i]
		*a = Answer{Err: n.noAnswer(c), InClient: c.state == sent, SentBefore: c.sentBefore, At: now}
		if a.InClient {
			n.breaker.gaveUp(c, now)
		} else {
			n.breaker.neverSent(c)
			waited = true
		}
		if a.SentBefore && !a.InClient {
			n.breaker.countUnanswered(c, now)
		}
		a.AnsweredTime = n.breaker.answeredTimeBy(now)
		changed, failure = n.health.note(a) || changed, a.Err
		c.state = givenUp
	}
	if waited { // the queues must not refer to calls whose memory is reused
		n.queue = slices.DeleteFunc(n.queue, func(c *Call) bool { return c.state != queued })
		n.resends.paused = slices.DeleteFunc(n.resends.paused, func(c *Call) bool { return c.state != paused })
	}
	refused := n.rejectQueued()
	n.mu.Unlock()

	for i, c := range overdue {
		c.Deadline.pass() // the client sees its context end
		c.Receiver.Answer(c, answers[i])
	}
	n.report(changed, failure, refused)
}

// report answers the calls that were rejected, and calls Changed.
func (n *Node) report(changed bool, failure error, refused []*Call) {
	if len(refused) > 0 {
		n.mu.Lock()
		busy := n.breaker.busy()
		n.mu.Unlock()
		for _, c := range refused {
			c.Receiver.Answer(c, Answer{Err: busy, At: time.Now()})
		}
	}
	if changed && n.Changed != nil {
		n.Changed(failure)
	}
}

// Liveness is what is known of how a node answers.
type Liveness struct {
	Answers        bool          // it answered the last call
	LastAnswer     time.Time     // when it came
	AnsweredTime   time.Duration // how long the node has been answering until then, in all
	AnsweringSince time.Time     // the end of its last silence, or when the Node was made
	LastSilence    time.Duration // how long that silence was; 0 if there was none
}

// Liveness returns what is known of how the node answers.
func (n *Node) Liveness() Liveness {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := &n.breaker
	return Liveness{Answers: !b.isSilent(), LastAnswer: b.lastAnswer, AnsweredTime: b.answeredTime(), AnsweringSince: b.answeringSince, LastSilence: b.lastSilence}
}

// endIdle runs on the timer of n.idle.
func (n *Node) endIdle() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.idle.tick()
}

// Stop stops the timers and the idle workers. Calls in flight still end at their deadline. The
// node still makes calls after Stop, without keeping anything in reserve.
func (n *Node) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.inFlight.stopIfEmpty()
	n.idle.close()
}
