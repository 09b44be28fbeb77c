package redlock

import (
	"context"
	"fmt"
	"sync"

	"github.com/quorumlock/quorumlock/internal/waiting"
)

// A Pending is a lock that was asked for. It is safe for concurrent use. A nil Pending is a
// request that has failed: none of its methods panics.
type Pending struct {
	name   string
	done   chan struct{}
	cancel context.CancelFunc
	entry  *waiting.Entry // in the wait queue; nil if the request was refused

	mu      sync.Mutex // protects the rest
	lock    *Lock
	err     error
	taken   bool // Wait handed the lock out
	givenUp bool
}

// LockAsync asks for the lock called name and returns at once. The request stands in
// line from then on: those of one caller are granted in the order of the calls. It
// lives until it is granted, ctx ends or it is cancelled; it fails as
// [Locker.Lock] does. Either [Pending.Wait] for it or [Pending.Cancel] it: a
// lock that nobody takes is held until it expires, and with [WithKeepAlive] for
// as long as [WithMaxHold] allows. The error of a request that was cancelled matches
// [context.Canceled].
func (l *Locker) LockAsync(ctx context.Context, name string, opts ...LockOption) *Pending {
	life, cancel := context.WithCancel(ctx)
	p := &Pending{name: name, done: make(chan struct{}), cancel: cancel}
	r, err := l.join(ctx, name, opts)
	if err != nil {
		cancel()
		p.grant(nil, err)
		return p
	}
	p.entry = r.waiter.Entry()
	go func() { // ends with the request
		defer l.leave() // after what was granted in vain is given back
		defer cancel()
		p.grant(l.wait(life, r))
	}()
	return p
}

func (p *Pending) grant(lock *Lock, err error) {
	p.mu.Lock()
	p.lock, p.err = lock, err
	unwanted := p.givenUp && lock != nil
	if unwanted {
		p.lock, p.err = nil, p.cancelled()
	}
	p.mu.Unlock()
	if unwanted {
		lock.discard()
	}
	close(p.done)
}

// Done is closed when the request was granted or has failed: Wait then returns
// at once.
func (p *Pending) Done() <-chan struct{} {
	if p == nil {
		return closed
	}
	return p.done
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Position returns how many callers come first, at most: those of the same Locker and, with
// [WithFair], those of others. Callers who have given up may be counted too, and of others
// those who drew their ticket at the same moment are not.
// known is false as long as the nodes have not said how many stand in line at other
// Lockers, and without WithFair. It is 0 for a request that was granted or has failed.
func (p *Pending) Position() (ahead int, known bool) {
	if p == nil {
		return 0, true
	}
	select {
	case <-p.done:
		return 0, true
	default:
		return p.entry.Position()
	}
}

// Wait returns the lock, or the error of the request. If ctx ends first it
// returns an error that matches ctx.Err() and the request goes on. Every call
// returns the same lock. Of a nil Pending it returns an error that matches [ErrNotHeld].
func (p *Pending) Wait(ctx context.Context) (*Lock, error) {
	if p == nil {
		return nil, fmt.Errorf("redlock: wait for lock: %w: the Pending is nil: nothing was asked for", ErrNotHeld)
	}
	select {
	case <-p.done:
	default:
		select {
		case <-p.done:
		case <-ctx.Done():
			return nil, interrupted(ctx, "wait for lock", p.name, nil)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = true
	return p.lock, p.err
}

func (p *Pending) cancelled() error {
	return fmt.Errorf("redlock: lock %q: %w", p.name, context.Canceled)
}

// Cancel gives the request up, and the lock if it was granted meanwhile. Once
// Wait has returned the lock, it is the caller's and Cancel does nothing. What the
// request has on the nodes, its place in line too, is given up in the background, which
// [Locker.Close] waits for; a process that ends before costs those behind it a lease
// ([WithPlaceLease]).
func (p *Pending) Cancel() {
	if p == nil {
		return
	}
	p.mu.Lock()
	var lock *Lock
	if !p.taken && !p.givenUp {
		p.givenUp = true
		lock = p.lock
		if lock != nil {
			p.lock, p.err = nil, p.cancelled()
		}
	}
	p.mu.Unlock()
	p.cancel()
	if lock != nil {
		lock.discard()
	}
}

// discard releases a lock that nobody wants, in the background.
func (k *Lock) discard() {
	k.claim.SetMinHold(0)                                                    // nobody held it
	if k.lease.End(ErrReleased, true) || k.lease.Check(false) == ErrClosed { // Close leaves it to its holder
		k.claim.ReleaseInBackground()
		k.entry.Leave()
	}
}
