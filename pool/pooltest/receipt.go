package pooltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// grace bounds the few seconds of the contract. It is a variable for the test of the suite.
var grace = 15 * time.Second

// A submitter submits the commands of a case. At the end it compares the outcomes with the commands
// that the server got.
type submitter struct {
	tb testing.TB
	s  *server
	p  interface {
		pool.Pool
		pool.Submitter
	}
	inner *scope // of the pool

	mu       sync.Mutex // protects receipts
	receipts []*receipt
}

// newSubmitter starts a server and opens a pool on it. It skips the case if the pool is not a
// [pool.Submitter].
func newSubmitter(tb testing.TB, open Opener) *submitter {
	tb.Helper()
	return submitterTo(tb, open, startServer(tb))
}

func submitterTo(tb testing.TB, open Opener, s *server) *submitter {
	tb.Helper()
	d := &submitter{tb: tb, s: s, inner: &scope{TB: tb}}
	tb.Cleanup(d.settle)
	p, ok := open(d.inner, s.addr).(interface {
		pool.Pool
		pool.Submitter
	})
	if !ok {
		tb.Skip("the pool is no pool.Submitter")
	}
	d.p = p
	return d
}

// context returns a context that ends after the given time, or with the test.
func (d *submitter) context(timeout time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	d.tb.Cleanup(cancel)
	return ctx
}

// A receipt is the receiver of one command. It records its outcomes.
type receipt struct {
	command string      // as the server counts it
	ctx     *borrowed   // the context that the pool was given
	args    []any       // the arguments that the pool was given
	given   []any       // the same arguments in another slice
	lock    *sync.Mutex // if not nil, Receive needs it

	mu       sync.Mutex // protects the rest
	outcomes []outcome
	changed  bool
	first    chan struct{} // closed at the first outcome
}

// Receive implements [pool.Receiver]. It ends the use of the context, and overwrites the arguments,
// as a caller does that uses its slice for the next command. The race detector finds a pool that
// still reads them.
func (r *receipt) Receive(reply any, err error) {
	r.ctx.end()
	if r.lock != nil {
		r.lock.Lock()
		defer r.lock.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes = append(r.outcomes, outcome{reply: reply, err: err})
	if len(r.outcomes) > 1 {
		return
	}
	r.changed = !slices.Equal(r.args, r.given)
	for i := range r.args {
		r.args[i] = "used again"
	}
	close(r.first)
}

// submit submits a command. The server counts commands by name and first argument, so these differ
// for each command of a case. A command with a single argument is answered with that argument, if
// it is answered.
func (d *submitter) submit(ctx context.Context, args ...any) *receipt {
	return d.submitHolding(ctx, nil, args...)
}

func (d *submitter) submitHolding(ctx context.Context, lock *sync.Mutex, args ...any) *receipt {
	r := &receipt{
		command: strings.TrimSpace(fmt.Sprintln(args[:min(len(args), 2)]...)),
		ctx:     borrow(ctx),
		args:    slices.Clone(args),
		given:   args,
		lock:    lock,
		first:   make(chan struct{}),
	}
	d.mu.Lock()
	d.receipts = append(d.receipts, r)
	d.mu.Unlock()
	d.p.Submit(r.ctx, r, r.args...)
	return r
}

// outcome returns the outcome. It fails the test if there is none within the limit.
func (d *submitter) outcome(r *receipt, limit time.Duration) outcome {
	d.tb.Helper()
	select {
	case <-r.first:
	case <-time.After(limit):
		d.tb.Fatalf("%s: its receiver was not called", r.command)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcomes[0]
}

// answered fails the test unless the outcome is the command's argument.
func (d *submitter) answered(r *receipt) {
	d.tb.Helper()
	if o := d.outcome(r, patience); o.err != nil || o.reply != r.given[1] {
		d.tb.Fatalf("%s: got %#v and error %v", r.command, o.reply, o.err)
	}
}

// echoes submits commands that are answered with their arguments.
func (d *submitter) echoes(ctx context.Context, text string, n int) []*receipt {
	all := make([]*receipt, n)
	for i := range all {
		all[i] = d.submit(ctx, "ECHO", fmt.Sprintf("%s, %d", text, i))
	}
	return all
}

// mustEcho fails the test unless a submitted echo succeeds. Afterwards the pool has a connection.
func (d *submitter) mustEcho(text string) {
	d.tb.Helper()
	d.answered(d.submit(d.context(patience), "ECHO", text))
}

// mustRecover waits until the pool works again.
func (d *submitter) mustRecover() {
	d.tb.Helper()
	ctx := d.context(patience)
	eventually(d.tb, "the pool does not work any more", func() bool {
		text := fmt.Sprint("after command ", len(d.receipts))
		return d.outcome(d.submit(ctx, "ECHO", text), patience).err == nil
	})
}

// atOnce fails the test unless do returns soon, while the server is frozen. A call that never returns
// ends with the pool.
func (d *submitter) atOnce(do func()) {
	d.tb.Helper()
	back := make(chan struct{})
	go func() {
		defer close(back)
		do()
	}()
	select {
	case <-back:
	case <-time.After(slack):
		d.tb.Fatalf("Submit waits: not all calls are back after %v", slack)
	}
}

// drain closes the pool and waits until the server has run all commands that were sent.
func (d *submitter) drain() {
	d.tb.Helper()
	d.inner.end()
	d.s.thaw()
	d.s.drain()
}

// settle closes the pool, after which no receiver is called, and reports the first command with an
// error.
func (d *submitter) settle() {
	d.inner.end()
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	for _, r := range d.receipts {
		select {
		case <-r.first:
		case <-ctx.Done():
		}
		if err := r.wrong(d.s); err != nil {
			d.tb.Errorf("%s: %v", r.command, err)
			return
		}
	}
	if n := d.s.count("USED AGAIN") + d.s.count("ECHO used again"); n > 0 {
		d.tb.Errorf("%d commands were sent with arguments of a later one", n)
	}
}

// wrong returns an error if the outcomes are wrong.
func (r *receipt) wrong(s *server) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.outcomes) != 1 {
		return fmt.Errorf("the receiver got %d outcomes, want one", len(r.outcomes))
	}
	o, sent := r.outcomes[0], s.count(r.command)
	switch {
	case r.changed:
		return errors.New("its arguments were changed")
	case r.ctx.misused() != "":
		return errors.New(r.ctx.misused())
	case sent > 1:
		return fmt.Errorf("it was sent %d times", sent)
	case sent == 1 && errors.Is(o.err, pool.ErrNotSent):
		return fmt.Errorf("the server got it, and the error is %q", o.err)
	case sent == 0 && o.err == nil:
		return fmt.Errorf("the server did not get it, and the reply is %#v", o.reply)
	case len(r.given) == 2 && o.err == nil && o.reply != r.given[1]:
		return fmt.Errorf("its reply is %#v, which belongs to another command", o.reply)
	}
	return nil
}
