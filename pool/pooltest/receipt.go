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

// grace bounds what the contract calls a few seconds. It is a variable for the
// suite's own test.
var grace = 15 * time.Second

// A desk is where a case submits commands. In the end it compares what the
// receivers were told with what the server got.
type desk struct {
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

// submitting starts a server and opens a pool on it. It skips the case if the pool is no
// [pool.Submitter]: then there is nothing to test.
func submitting(tb testing.TB, open Opener) *desk {
	tb.Helper()
	return submittingTo(tb, open, startServer(tb))
}

func submittingTo(tb testing.TB, open Opener, s *server) *desk {
	tb.Helper()
	d := &desk{tb: tb, s: s, inner: &scope{TB: tb}}
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

// context returns one that ends after the given time, or with the test.
func (d *desk) context(timeout time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	d.tb.Cleanup(cancel)
	return ctx
}

// A receipt is the receiver of one command, and takes down what it is told.
type receipt struct {
	command string      // as the server counts it
	ctx     *lent       // what the pool was given
	args    []any       // the same
	given   []any       // the same, in a slice that the pool does not have
	lock    *sync.Mutex // if not nil, Receive needs it

	mu       sync.Mutex // protects the rest
	outcomes []outcome
	changed  bool
	first    chan struct{} // closed at the first outcome
}

// Receive implements [pool.Receiver]. It takes the context back, and writes over the
// arguments, as a caller does that uses its slice for the next command: a pool that
// still reads them is found by the race detector.
func (r *receipt) Receive(reply any, err error) {
	r.ctx.takeBack()
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

// submit submits a command. No two of a case have the same name and first
// argument, which is how the server counts them. One that has a single argument
// is answered with it, if it is.
func (d *desk) submit(ctx context.Context, args ...any) *receipt {
	return d.submitHolding(ctx, nil, args...)
}

func (d *desk) submitHolding(ctx context.Context, lock *sync.Mutex, args ...any) *receipt {
	r := &receipt{
		command: strings.TrimSpace(fmt.Sprintln(args[:min(len(args), 2)]...)),
		ctx:     lend(ctx),
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

// told returns the outcome, which is due within the limit.
func (d *desk) told(r *receipt, limit time.Duration) outcome {
	d.tb.Helper()
	select {
	case <-r.first:
	case <-time.After(limit):
		d.tb.Fatalf("%s: nobody was told what became of it", r.command)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcomes[0]
}

// answered fails the test unless the outcome is the command's argument.
func (d *desk) answered(r *receipt) {
	d.tb.Helper()
	if o := d.told(r, patience); o.err != nil || o.reply != r.given[1] {
		d.tb.Fatalf("%s: got %#v and error %v", r.command, o.reply, o.err)
	}
}

// echoes submits commands that are answered with their arguments.
func (d *desk) echoes(ctx context.Context, text string, n int) []*receipt {
	all := make([]*receipt, n)
	for i := range all {
		all[i] = d.submit(ctx, "ECHO", fmt.Sprintf("%s, %d", text, i))
	}
	return all
}

// mustEcho submits a command, so that the pool has a connection for more of them.
func (d *desk) mustEcho(text string) {
	d.tb.Helper()
	d.answered(d.submit(d.context(patience), "ECHO", text))
}

// mustEchoAgain gives a pool the time to notice that the server is back.
func (d *desk) mustEchoAgain() {
	d.tb.Helper()
	ctx := d.context(patience)
	eventually(d.tb, "the pool does not work any more", func() bool {
		text := fmt.Sprint("after command ", len(d.receipts))
		return d.told(d.submit(ctx, "ECHO", text), patience).err == nil
	})
}

// promptly fails the test unless what is done while the server is frozen is done
// at once. What never comes back ends with the pool.
func (d *desk) promptly(do func()) {
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

// drain closes the pool and waits until the server has run all that it was sent.
func (d *desk) drain() {
	d.tb.Helper()
	d.inner.end()
	d.s.thaw()
	d.s.drain()
}

// settle closes the pool, after which no receiver is told anything any more, and
// says what is wrong with the first command with which anything is.
func (d *desk) settle() {
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

// wrong says what is wrong with what was told, or returns nil.
func (r *receipt) wrong(s *server) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.outcomes) != 1 {
		return fmt.Errorf("the receiver was told %d outcomes, want one", len(r.outcomes))
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
		return fmt.Errorf("its reply is %#v, which is another one's", o.reply)
	}
	return nil
}
