// Package pipeline sends the commands of many callers over one connection, without waiting
// for the replies in between.
//
// A client library opens the connection and knows its protocol ([Conn]). This package decides
// which goroutine writes, assigns replies to calls, and fails calls when the connection
// breaks.
//
//	caller ---> writes, if few calls are in flight --------> connection
//	      \---> waiting ---> writer, all that has collected -----^   |
//	receiver <------------------------- reader <---------------------+
//
// A single caller pays for a system call and no goroutine. With many callers, the commands
// submitted while the writer writes are sent together.
package pipeline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A Conn is one connection to a server. One goroutine at a time calls Send and
// Flush, another one Receive, and any of them, or a third, Close.
type Conn interface {
	// Send writes a command, at least into a buffer. Flush sends the rest. The server must
	// not have the whole command before Send returns: an earlier reply ends the connection.
	Send(args []any) error
	Flush() error

	// Receive waits for the next reply. An error reply is an error of type
	// pool.Error. After any other error the connection is of no use.
	Receive() (any, error)

	// Close ends the connection, and calls of the other methods with it.
	Close() error
}

const (
	// A caller writes itself if at most maxBytes are unanswered, with its own command. Such a
	// write does not block, not even if the server is frozen: the smallest buffer of a socket
	// is larger.
	maxBytes = 4096
	// With maxCalls or more unanswered calls the writer writes: collecting them is cheaper.
	maxCalls = 4

	// maxHeld bounds the calls that wait or are unanswered, so that a server that does not
	// answer cannot fill the memory.
	maxHeld = 16 << 10

	// dialTimeout is the default of Pipe.DialTimeout.
	dialTimeout = 5 * time.Second
	// After a failure to connect, calls fail at once for a while, which doubles.
	firstPause = 25 * time.Millisecond
	maxPause   = time.Second
	// grace is how long an unanswered call keeps its connection after its deadline. The
	// outcome of commands whose replies come in this time is known.
	grace = 2 * time.Second
)

var errFull = fmt.Errorf("%d calls are under way already", maxHeld)

// A Pipe is one connection at a time to one server, opened at the first call and
// replaced when it breaks. It is safe for concurrent use.
//
// When a call passes its deadline unanswered, the next calls get a new connection. There they
// do not wait behind the unanswered call, and if the server is frozen they are never sent.
// The old connection is kept for late replies. There is at most one old connection. When its
// last reply has come and the new one is not open yet, the old one is used again: connecting
// may take longer than callers wait.
type Pipe struct {
	// DialTimeout bounds the opening of a connection. It must not be changed after the first
	// call.
	DialTimeout time.Duration

	dial func(context.Context) (Conn, error)
	ctx  context.Context // ends with Close
	stop context.CancelFunc
	all  sync.WaitGroup // all goroutines

	mu      sync.Mutex // protects the rest; never held while a Conn or a Receiver is called
	closed  bool
	link    *link // nil if there is no connection
	old     *link // nil if no replies are late
	dialing bool
	begun   time.Time     // when the last dial began
	hangs   bool          // a dial did not return although its context ended
	stage   string        // of the current dial
	refusal error         // why the last dial failed
	pause   time.Duration // after a failed dial, in which calls fail at once
	quiet   time.Time     // the end of that pause
	waiting queue         // calls that were not sent
	timer   *time.Timer   // runs check
	armed   bool
	at      time.Time // when it runs, if armed
}

// A link is a connection, with the state of its writing and its unanswered calls.
type link struct {
	conn   Conn
	wake   chan struct{}  // holds one value: a call waits for the writer
	broken chan struct{}  // closed by the reader
	writer sync.WaitGroup // a goroutine is calling Send or Flush
	sent   atomic.Int64   // number of Sends that have returned: only their calls can have replies

	// Protected by Pipe.mu.
	writing    bool  // a goroutine is calling Send or Flush
	unanswered queue // calls that were sent, or are about to be
	bytes      int   // of these
	stalled    bool  // given up
	retired    time.Time
}

// New returns a pipe to the server that dial connects to.
func New(dial func(context.Context) (Conn, error)) *Pipe {
	p := &Pipe{DialTimeout: dialTimeout, dial: dial}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Submit implements [pool.Submitter].
func (p *Pipe) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	c := call{ctx: ctx, receiver: r, args: args, size: size(args)}
	if err := ended(ctx); err != nil {
		go c.fail(unsent(err)) // not from here: see pool.Submitter
		return
	}
	p.mu.Lock()
	l := p.link
	if err := p.refuses(); err != nil {
		p.mu.Unlock()
		go c.fail(unsent(err))
		return
	}
	if l != nil && !l.writing && p.waiting.len() == 0 && l.bytes+c.size <= maxBytes && l.unanswered.len() < maxCalls {
		l.begin()
		p.commit(l, c)
		p.mu.Unlock()
		err := l.send(c)
		if err == nil {
			err = l.conn.Flush()
		}
		p.written(l, err)
		return
	}
	p.waiting.push(c)
	p.watch(c)
	switch {
	case l != nil:
		l.kick()
	case !p.dialing:
		p.open()
	}
	p.mu.Unlock()
}

// refuses returns why no call is accepted, or nil. p.mu is held.
func (p *Pipe) refuses() error {
	held := p.waiting.len()
	if p.link != nil {
		held += p.link.unanswered.len()
	}
	switch {
	case p.closed:
		return pool.ErrClosed
	case held >= maxHeld:
		return errFull
	case p.link == nil && !p.dialing && p.refusal != nil && time.Now().Before(p.quiet):
		return p.refusal
	}
	return nil
}

// commit records that a call is about to be sent on l. p.mu is held.
func (p *Pipe) commit(l *link, c call) {
	l.unanswered.push(c)
	l.bytes += c.size
	p.watch(c)
}

// begin records that a goroutine starts to write to the current link. Pipe.mu is held.
func (l *link) begin() {
	l.writing = true
	l.writer.Add(1)
}

// send writes a call that was committed.
func (l *link) send(c call) error {
	err := l.conn.Send(c.args)
	if err == nil {
		l.sent.Add(1)
	}
	return err
}

// written records that the writing has ended. After an error it closes the connection: the
// reader notices that, and fails the calls.
func (p *Pipe) written(l *link, err error) {
	if err != nil {
		l.conn.Close()
	}
	l.writer.Done()
	p.mu.Lock()
	l.writing = false
	if p.waiting.len() > 0 {
		l.kick()
	}
	p.mu.Unlock()
}

func (l *link) kick() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Close ends the connection. Outstanding calls fail, and so do later ones. When it returns,
// no goroutine and no connection is left. The exception is a dial that does not return when
// its context ends.
func (p *Pipe) Close() error {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	waiting := p.waiting.drain()
	links := [...]*link{p.link, p.old}
	p.mu.Unlock()
	p.stop()
	for _, l := range links {
		if l != nil {
			l.conn.Close()
		}
	}
	fail(waiting, unsent(pool.ErrClosed))
	p.all.Wait()
	return nil
}

func unsent(err error) error { return fmt.Errorf("%w: %w", pool.ErrNotSent, err) }

// ended returns why ctx is over, or nil. It reads the clock as well: the timer of a context
// fires a little after the deadline. A caller that compares the error with ctx.Err() sees
// the deadline by then.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return nil
}

// size is how many bytes a command takes on the wire, or a little more.
func size(args []any) int {
	const framing = 32 // "$4096\r\n...\r\n", or a number of 20 digits with it
	n := framing
	for _, arg := range args {
		n += framing
		if s, ok := arg.(string); ok {
			n += len(s)
		}
	}
	return n
}
