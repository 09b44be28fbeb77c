package pipeline

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// open begins to connect. p.mu is held.
func (p *Pipe) open() {
	p.dialing = true
	p.begun = time.Now()
	p.all.Add(1)
	go p.run() // ends when the connection breaks, or dialing failed
}

// run connects, and reads until the connection breaks. Calls that are unanswered then fail.
func (p *Pipe) run() {
	defer p.all.Done()
	conn, err := p.connect()
	if err != nil {
		p.refused(err)
		return
	}
	l := &link{conn: conn, wake: make(chan struct{}, 1), broken: make(chan struct{})}
	if !p.opened(l) {
		conn.Close()
		return
	}
	p.all.Go(func() { p.write(l) }) // ends with this goroutine
	last, err := p.read(l)
	close(l.broken)
	conn.Close()
	if last.receiver == nil {
		p.ended(l, err)
		return
	}
	// The error reply belongs to one call. The others fail without a reply.
	p.ended(l, errDemoted)
	last.receiver.Receive(nil, err)
}

// opened makes a new connection the current one. It returns false if the pipe was closed
// meanwhile, or the old connection became the current one again.
func (p *Pipe) opened(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialing = false
	if p.closed || p.link != nil {
		return false
	}
	p.refusal, p.pause = nil, 0
	p.link = l
	l.kick()
	return true
}

// refused fails the calls that waited for a connection.
func (p *Pipe) refused(err error) {
	p.mu.Lock()
	p.dialing = false
	var waiting []call
	if p.link == nil { // otherwise the old connection serves them
		p.refusal = err
		p.pause = min(max(2*p.pause, firstPause), maxPause)
		p.quiet = time.Now().Add(p.pause)
		waiting = p.waiting.drain()
	}
	p.mu.Unlock()
	fail(waiting, unsent(err))
}

// retire makes the current connection the old one, which is kept for its outstanding replies.
// New calls get a new connection. If there is an old connection already, retire does nothing.
// p.mu is held.
func (p *Pipe) retire() {
	if p.old != nil || p.closed {
		return
	}
	p.old, p.link = p.link, nil
	p.old.retired = time.Now()
	p.arm(p.old.retired.Add(grace))
	if p.waiting.len() > 0 && !p.dialing {
		p.open()
	}
}

// ended fails the unanswered calls of l, which has ended. Calls that were not sent wait for
// the next connection.
func (p *Pipe) ended(l *link, err error) {
	p.mu.Lock()
	lost := l.unanswered.drain()
	if p.old == l {
		p.old = nil
	} else {
		p.link = nil
		if p.waiting.len() > 0 && !p.dialing && !p.closed {
			p.open()
		}
	}
	if p.closed {
		err = pool.ErrClosed
	}
	p.mu.Unlock()
	l.writer.Wait() // after its outcome a call's arguments must not be read
	fail(lost, fmt.Errorf("the connection ended before the reply: %w", err))
}

const (
	// maxBatch is how many commands the writer collects before it flushes, and
	// maxBatchBytes about how many bytes.
	maxBatch      = 256
	maxBatchBytes = 64 << 10
)

// write sends the waiting calls, all that have collected at a time.
func (p *Pipe) write(l *link) {
	for {
		select {
		case <-l.wake:
		case <-l.broken:
			return
		}
		runtime.Gosched() // other runnable goroutines submit first, and their calls travel along
		var err error
		n, bytes := 0, 0
		for err == nil && n < maxBatch && bytes < maxBatchBytes {
			c, ok := p.next(l, n > 0)
			if !ok {
				break
			}
			n++
			bytes += c.size
			err = l.send(c)
		}
		if n == 0 {
			continue
		}
		if err == nil {
			err = l.conn.Flush()
		}
		p.written(l, err)
	}
}

// next commits the first waiting call to l. It does not if a caller is writing, which wakes
// the writer when it is done. writing says whether the writer writes already.
//
// Calls are committed one at a time, since a Send may block: by then a later call may have
// passed its deadline, or belong to another link.
func (p *Pipe) next(l *link, writing bool) (call, bool) {
	for {
		p.mu.Lock()
		if p.link != l || l.writing != writing || p.waiting.len() == 0 {
			p.mu.Unlock()
			return call{}, false
		}
		c := p.waiting.pop()
		over := ended(c.ctx)
		if over == nil {
			if !writing {
				l.begin()
			}
			p.commit(l, c)
		}
		p.mu.Unlock()
		if over == nil {
			return c, true
		}
		c.fail(unsent(over))
	}
}

var (
	errUnasked = errors.New("a reply without a command")
	errDrained = errors.New("nothing more to come")
	errDemoted = errors.New("the server is not a master any more")
)

// read passes replies on until the connection breaks or is not needed any more. It also ends
// after an error reply that says that the server is no longer a master. It returns that error
// and its call: the receiver may submit again, so the connection has to end first.
//
// A reply to a command whose Send has not returned ends the connection, and is not passed
// on: Send may still read the arguments, which must not be read after the outcome.
func (p *Pipe) read(l *link) (last call, err error) {
	for received := int64(0); ; received++ {
		reply, err := l.conn.Receive()
		_, refused := err.(pool.Error)
		if err != nil && !refused {
			return call{}, err
		}
		if received == l.sent.Load() {
			return call{}, errUnasked
		}
		c, drained := p.answered(l)
		if refused && pool.Demoted(err) {
			return c, err
		}
		c.receiver.Receive(reply, err)
		if drained {
			return call{}, errDrained
		}
	}
}

// answered takes out the call of a reply. drained is true if l is the old link, this was its
// last outstanding reply, and l is not used again: there is a newer link, or l was given up.
func (p *Pipe) answered(l *link) (c call, drained bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c = l.unanswered.pop()
	l.bytes -= c.size
	if p.old != l || l.unanswered.len() > 0 {
		return c, false
	}
	if p.link != nil || l.stalled {
		return c, true
	}
	p.refusal, p.pause = nil, 0
	p.link, p.old = l, nil
	l.kick()
	return c, false
}
