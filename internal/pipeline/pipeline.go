// Package pipeline sends the commands of many callers down one connection
// without waiting for the replies in between.
//
// A client library opens the connection and knows its protocol ([Conn]); here
// stands who writes when, which reply is whose, and what becomes of the calls if
// the connection breaks.
//
//	caller ---> writes, if little is under way ------------> connection
//	      \---> waiting ---> writer, all that has collected -----^   |
//	receiver <------------------------- reader <---------------------+
//
// A lone caller pays for a system call and for no goroutine; of many callers,
// those that come while the writer writes travel together.
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
	// Send writes a command, which Flush sends at the latest. The server has all of it
	// not before Send has returned: replies that come earlier are none.
	Send(args []any) error
	Flush() error

	// Receive waits for the next reply. An error reply is an error of type
	// pool.Error. After any other error the connection is of no use.
	Receive() (any, error)

	// Close ends the connection, and calls of the other methods with it.
	Close() error
}

const (
	// A caller writes by itself if no more than this is unanswered, its own
	// command included. Such a write does not block, not even if the server is
	// frozen: the smallest buffer that a socket has is larger.
	maxBytes = 4096
	maxCalls = 4 // and no more than these: where there are many, collecting them is cheaper

	// maxHeld bounds the calls that wait, or are unanswered: a server that does not
	// answer must not fill the memory with them.
	maxHeld = 16 << 10

	// dialTimeout bounds the opening of a connection, if nothing else is said.
	dialTimeout = 5 * time.Second
	// After a failure to connect, calls fail at once for a while, which doubles.
	firstPause = 25 * time.Millisecond
	maxPause   = time.Second
	// grace is how long after its deadline an unanswered call keeps its connection.
	// Replies that come within it tell what became of the commands.
	grace = 2 * time.Second
)

var errFull = fmt.Errorf("%d calls are under way already", maxHeld)

// A Pipe is one connection at a time to one server, opened at the first call and
// replaced when it breaks. It is safe for concurrent use.
//
// When a call passes its deadline unanswered, the next ones get a new connection:
// there they need not wait behind it, and if the server is frozen they are never
// sent. The old one is kept for late replies; there is one such connection at most. When
// all have come it is as good as a new one, and used again if that is not there yet: to
// connect may take longer than callers wait.
type Pipe struct {
	// DialTimeout bounds the opening of a connection. It is not changed once calls are
	// made.
	DialTimeout time.Duration

	dial func(context.Context) (Conn, error)
	ctx  context.Context // ends with Close
	stop context.CancelFunc
	all  sync.WaitGroup // goroutines

	mu      sync.Mutex // protects the rest; never held while a Conn or a Receiver is called
	closed  bool
	link    *link // nil if there is no connection
	old     *link // nil if no replies are late
	dialing bool
	begun   time.Time     // when the last dial began
	hangs   bool          // a dial was left behind
	stage   string        // of the dial that is under way
	refusal error         // why the last dial failed
	pause   time.Duration // after it
	quiet   time.Time     // its end
	waiting queue         // calls that were not sent
	timer   *time.Timer   // runs check
	armed   bool
	at      time.Time // when it does, if armed
}

// A link is a connection and who writes to it.
type link struct {
	conn   Conn
	wake   chan struct{}  // has room for one: something waits for the writer
	broken chan struct{}  // closed by the reader
	writer sync.WaitGroup // somebody is calling Send or Flush
	sent   atomic.Int64   // calls that Send has returned from: only they can have replies

	// Protected by Pipe.mu.
	writing    bool  // the same
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

// commit notes that a call is about to be sent on l. p.mu is held.
func (p *Pipe) commit(l *link, c call) {
	l.unanswered.push(c)
	l.bytes += c.size
	p.watch(c)
}

// begin notes that somebody starts to write to the current link. Pipe.mu is held.
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

// written notes that he has done. After an error the reader ends the connection: it
// is where calls fail.
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

// Close ends the connection. Calls that are under way fail, and so do later ones.
// When it returns, no goroutine and no connection is left, but for a dial that does
// not return when its context ends.
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

// ended returns why ctx is over, or nil. It asks the clock as well: the timer of a
// context may come round a little after its deadline, and a caller who compares
// with ctx.Err() will see the deadline by then.
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
