package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/quorumlock/quorumlock/pool"
)

// Do implements [pool.Pool].
func (p *Pipe) Do(ctx context.Context, args ...any) (any, error) {
	if err := ended(ctx); err != nil {
		return nil, unsent(err)
	}
	w := &waiter{done: make(chan struct{})}
	p.Submit(ctx, w, slices.Clone(args)...) // they may be kept for longer than this call
	select {
	case <-w.done:
		return w.reply, w.err
	case <-ctx.Done():
	}
	switch fate, why := p.withdraw(w); fate {
	case unsentCall:
		return nil, unsent(fmt.Errorf("%w: %w", ctx.Err(), why))
	case sentCall:
		return nil, ctx.Err()
	}
	<-w.done // being told right now: to know is worth more
	return w.reply, w.err
}

// A waiter is the receiver of Do.
type waiter struct {
	reply any
	err   error
	done  chan struct{}
}

// Receive implements [pool.Receiver].
func (w *waiter) Receive(reply any, err error) {
	w.reply, w.err = reply, err
	close(w.done)
}

// A fate is what becomes of a call whose caller does not wait for it any more.
type fate uint8

const (
	unsentCall fate = iota // taken back
	sentCall               // nobody waits for its reply
	toldCall               // somebody is about to tell, or has told
)

// withdraw takes back a call if it was not sent, and says why. If it was, nobody waits
// for it any more, and others should not have to either.
func (p *Pipe) withdraw(r pool.Receiver) (fate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.waiting.remove(r):
		return unsentCall, p.notReady()
	case p.link != nil && p.link.unanswered.has(r):
		p.retire()
		return sentCall, nil
	case p.old != nil && p.old.unanswered.has(r):
		return sentCall, nil
	}
	return toldCall, nil
}
