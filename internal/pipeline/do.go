package pipeline

import (
	"context"
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
	withdrawn := p.withdraw(w)
	select {
	case <-w.done: // both at once: an outcome is worth more
		return w.reply, w.err
	default:
	}
	if withdrawn {
		return nil, unsent(ctx.Err())
	}
	return nil, ctx.Err()
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

// withdraw takes back a call, and reports whether it was not sent. If it was,
// nobody waits for it any more, and others should not have to either.
func (p *Pipe) withdraw(r pool.Receiver) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting.remove(r) {
		return true
	}
	if p.link != nil && p.link.unanswered.has(r) {
		p.retire()
	}
	return false
}
