package pooltest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// overtime is how long after a deadline the reference waits for a late reply.
const overtime = 500 * time.Millisecond

var (
	errEmpty   = errors.New("empty command")
	errUnasked = errors.New("a reply without a command")
)

// A wire is the connection on which the reference sends what is submitted. One
// goroutine writes and one reads.
type wire struct {
	p *reference

	mu      sync.Mutex   // protects the rest
	queue   []*submitted // not sent
	sent    []*submitted // on link, in order
	link    *link        // nil if there is no connection
	writing bool         // a goroutine writes, until the queue is empty
	closed  bool
}

// An submitted is one command on its way.
type submitted struct {
	ctx  context.Context
	r    pool.Receiver
	args []any
}

func (p *reference) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	e, w := &submitted{ctx, r, args}, &p.wire
	switch over := ended(ctx); {
	case p.fault == "blurts" && over != nil:
		r.Receive(nil, unsent(over))
		return
	case p.fault == "dwells":
		go func() { // as one that traces
			<-time.After(short / 2)
			_ = ctx.Value("trace")
		}()
	case p.fault == "derives":
		context.AfterFunc(ctx, func() {}) // and never says that it is over
	case p.fault == "scatters":
		go func() { r.Receive(p.Do(ctx, args...)) }()
		return
	}
	w.mu.Lock()
	w.queue = append(w.queue, e)
	idle := !w.writing
	w.writing = true
	w.mu.Unlock()
	if idle && p.fault == "blocks" {
		w.write()
	} else if idle {
		go w.write() // ends when the queue is empty
	}
}

func (w *wire) write() {
	for e := w.next(); e != nil; e = w.next() {
		if err := w.send(e); err != nil {
			e.r.Receive(nil, unsent(because(e.ctx, err)))
		}
	}
}

func (w *wire) next() *submitted {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.writing = false
		return nil
	}
	e := w.queue[0]
	w.queue = w.queue[1:]
	return e
}

// send returns an error if the command was not sent. Otherwise the reader tells
// what becomes of it.
func (w *wire) send(e *submitted) error {
	if len(e.args) == 0 {
		return errEmpty
	}
	b := written(e.args) // while they are ours
	for {
		l, err := w.connected(e.ctx)
		if err == nil && w.p.fault != "hoards" {
			err = ended(e.ctx)
		}
		if err != nil {
			return err
		}
		if w.commit(l, e) {
			if _, err := l.Write(b); err != nil {
				w.broke(l, err)
			}
			return nil
		}
	}
}

func (w *wire) connected(ctx context.Context) (*link, error) {
	w.mu.Lock()
	l, closed := w.link, w.closed
	w.mu.Unlock()
	switch {
	case closed && w.p.fault != "vague":
		return nil, pool.ErrClosed
	case l != nil:
		return l, nil
	case ended(ctx) != nil && w.p.fault != "hoards":
		return nil, ended(ctx)
	}
	own, cancel := own(ctx)
	defer cancel()
	l, err := w.p.connect(own)
	for i := 0; i < 100 && err != nil && w.p.fault == "hoards"; i++ {
		<-time.After(short / 10)
		l, err = w.p.dial(context.Background())
	}
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := l.SetDeadline(time.Time{}); err != nil || w.closed {
		l.Close()
		return nil, errors.Join(err, pool.ErrClosed)
	}
	w.link = l
	go w.read(l) // ends with the connection
	return l, nil
}

// own has the deadline of ctx, and may be used for longer: a dial leaves goroutines
// behind that ask its context.
func own(ctx context.Context) (context.Context, context.CancelFunc) {
	if at, ok := ctx.Deadline(); ok {
		return context.WithDeadline(context.Background(), at)
	}
	return context.WithCancel(context.Background())
}

// commit notes that e is about to be sent, unless the connection broke meanwhile.
func (w *wire) commit(l *link, e *submitted) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.link != l {
		return false
	}
	w.sent = append(w.sent, e)
	w.watch()
	return true
}

// watch bounds the wait for a reply, and for room in the socket: the connection is
// given up some time after the first deadline of those that were sent.
func (w *wire) watch() {
	var first time.Time
	for i, e := range w.sent {
		at, ok := e.ctx.Deadline()
		if w.p.fault != "punctual" {
			at = at.Add(overtime)
		}
		if !ok || w.p.fault == "hangs" || w.p.fault == "defers" && i > 0 {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	_ = w.link.SetDeadline(first) // fails if the connection is closed, and so does the rest
}

func (w *wire) read(l *link) {
	for {
		v, err := w.p.read(l.r)
		if err != nil {
			w.broke(l, err)
			return
		}
		e := w.answered(l)
		if e == nil {
			w.broke(l, errUnasked)
			return
		}
		if refusal, ok := v.(pool.Error); ok {
			v, err = nil, refusal
		}
		if pool.Demoted(err) && w.p.fault != "clings" {
			w.broke(l, err)
		}
		w.tell(e, v, err)
	}
}

func (w *wire) tell(e *submitted, v any, err error) {
	if w.p.fault == "clutches" {
		w.mu.Lock()
		defer w.mu.Unlock()
	}
	e.r.Receive(v, err)
	if w.p.fault == "repeats itself" && err != nil {
		e.r.Receive(v, err)
	}
}

// answered returns the command whose reply was read.
func (w *wire) answered(l *link) *submitted {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.link != l || len(w.sent) == 0 {
		return nil
	}
	i := 0
	if w.p.fault == "shuffles" {
		i = len(w.sent) - 1
	}
	e := w.sent[i]
	w.sent = slices.Delete(w.sent, i, i+1)
	w.watch()
	return e
}

// broke ends a connection, once, and the commands whose replies it owes.
func (w *wire) broke(l *link, err error) {
	l.Close()
	w.mu.Lock()
	if w.link != l {
		w.mu.Unlock()
		return
	}
	lost := w.sent
	w.link, w.sent = nil, nil
	if w.p.fault == "resends" && !w.closed {
		w.queue, lost = append(lost, w.queue...), nil
		if !w.writing {
			w.writing = true
			go w.write()
		}
	}
	w.mu.Unlock()
	for _, e := range lost {
		e.r.Receive(nil, because(e.ctx, err))
	}
}

func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.link != nil && w.p.fault != "outlives" {
		w.link.Close()
	}
}
