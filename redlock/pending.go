package redlock

import (
	"context"
	"fmt"
	"sync"

	"github.com/quorumlock/quorumlock/internal/waiting"
)

// A Pending is a request for a lock, made by [Locker.LockAsync]. It is safe for
// concurrent use. A nil Pending is a request that has failed: none of its methods panics.
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

// LockAsync asks for the lock called name and returns at once, never with nil. The
// request is in the wait queue when it returns: requests in one queue ([Locker.Lock])
// are granted in the order of the calls. A request ends when it is granted, when it
// fails, for the reasons of [Locker.Lock], or when it is cancelled. The end of ctx does
// nothing to a lock that was granted.
//
// Call [Pending.Wait] or [Pending.Cancel]. A granted lock that no Wait has returned is
// held all the same, until it expires. If [WithKeepAlive] is set, it is held for as long
// as the process lives, or as [WithMaxHold] allows.
func (l *Locker) LockAsync(ctx context.Context, name string, opts ...LockOption) *Pending {
	return l.lockAsync(ctx, name, nil, opts)
}

// lockAsync is LockAsync, of all locks of a set if there is one.
func (l *Locker) lockAsync(ctx context.Context, name string, set *set, opts []LockOption) *Pending {
	life, cancel := context.WithCancel(ctx)
	p := &Pending{name: name, done: make(chan struct{}), cancel: cancel}
	r, err := l.join(ctx, name, set, opts)
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

// Done is closed when the request was granted or has failed. Wait returns at once then.
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

// Position estimates how many callers come first. known says whether those of other
// processes are counted.
//
// Without [WithFair], ahead is their number in the wait queue of the request.
// [Locker.Lock] says which callers share one. The holder of the lock counts, too, if it
// was in that queue. known is false.
//
// With WithFair, ahead is the number of waiters of all Lockers and processes, and known
// is true. The holder does not count. Waiters that gave up may count, and waiters of
// other Lockers that began to wait at the same moment may not. Until the nodes have
// answered about other Lockers, ahead is the number of waiters of this Locker, and
// known is false.
//
// For a request that was granted or has failed the result is 0 and true.
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

// Wait returns the lock, or the error of the request. Every call returns the same lock.
// If ctx ends first, the error matches ctx.Err(), and the request goes on. The error of
// a cancelled request matches [context.Canceled]: then Done is closed, too. The error
// of a nil Pending matches [ErrNotHeld].
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

// Cancel gives up the request, and the lock if it was granted meanwhile. Done is closed
// soon after. After Wait has returned the lock, Cancel does nothing. The keys of the
// request and its position in the wait queue are removed in the background, and
// [Locker.Close] waits for that. If the process ends before, waiters of other processes
// wait for one place lease more ([WithPlaceLease]) if [WithFair] is set.
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

// discard releases a lock that was not taken by Wait, in the background.
func (k *Lock) discard() {
	k.claim.SetMinHold(0)                                                           // nobody held it
	if k.lease.End(ErrReleased, true) || k.lease.EndIfExpired(false) == ErrClosed { // Close leaves it to its holder
		k.claim.ReleaseInBackground()
		k.entry.Leave()
	}
}
