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
	p.Submit(ctx, w, slices.Clone(args)...) // Submit may keep them for longer than this call
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
	<-w.done // Receive is called right now, and a known outcome is worth the wait
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

// A fate says what happened to a call whose caller has stopped waiting.
type fate uint8

const (
	unsentCall   fate = iota // withdrawn before it was sent
	sentCall                 // sent; its reply is ignored
	answeredCall             // its receiver was called, or is about to be
)

// withdraw removes a call that was not sent, and says why it was not. If it was sent, its
// connection is retired, so that later calls do not wait behind it.
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
	return answeredCall, nil
}
