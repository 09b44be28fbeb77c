package lease

import (
	"sync"

	"github.com/quorumlock/quorumlock/internal/clock"
)

// A Keeper has what the leases of one Locker share.
type Keeper struct {
	clock    clock.Clock
	renewals renewals // has a mutex of its own

	mu      sync.Mutex // protects the rest; nothing but the clock is called under it
	closed  bool
	held    map[*Lease]struct{} // leases that have not ended, as far as is known
	sweepAt int                 // size of held at which to look for leases that expired unnoticed
	suspend suspendWatch
}

// NewKeeper returns a Keeper without leases. Leases read the time from c.
func NewKeeper(c clock.Clock) *Keeper {
	return &Keeper{clock: c, renewals: newRenewals(), held: make(map[*Lease]struct{})}
}

// Hold makes a lease that was granted known. It returns false after Close: then the lease
// is not held, and its keys are to be rolled back.
func (k *Keeper) Hold(l *Lease, keepAlive bool) bool {
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return false
	}
	k.held[l] = struct{}{}
	full := len(k.held) > k.sweepAt
	k.mu.Unlock()
	if full {
		k.sweep()
	}
	if keepAlive {
		l.keepAlive()
	}
	return true
}

// Held counts the leases that have not ended, as far as is known.
func (k *Keeper) Held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.held)
}

// sweep ends the leases that expired unnoticed, and returns the others. A lease has a timer only
// if something needed one (see setTimer). So something must forget it. A
// sweep whenever the number has doubled costs little per lease.
func (k *Keeper) sweep() (held []*Lease) {
	k.mu.Lock()
	all := make([]*Lease, 0, len(k.held))
	for l := range k.held {
		all = append(all, l)
	}
	k.sweepAt = max(2*len(all), 1024)
	k.mu.Unlock()
	var ended []*Lease
	for _, l := range all {
		if cause, just := l.expire(); just {
			ended = append(ended, l)
		} else if cause == nil {
			held = append(held, l)
		}
	}
	finishAll(ended)
	k.mu.Lock()
	k.sweepAt = max(2*len(held), 1024)
	k.mu.Unlock()
	return held
}

// forget is called when a lease ended: what it reads of it changes no more.
func (k *Keeper) forget(l *Lease) {
	k.mu.Lock()
	delete(k.held, l)
	if l.ended != nil {
		k.suspend.leases--
	}
	k.mu.Unlock()
	if l.endRenewals != nil {
		k.renewals.remove(l)
	}
}

// Close ends all leases with ErrClosed and begins no more renewals. It returns what the
// leases were of that it ended, and what is closed when no renewal is under way, nil if
// none is. It waits for nothing.
//
// No renewal begins after the first lease has ended. A lease whose Hold comes before is
// among those that are ended, and Hold returns false afterwards.
func (k *Keeper) Close() (ended []Lock, renewed <-chan struct{}) {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	renewed = k.renewals.close()
	var leases []*Lease
	for _, l := range k.sweep() {
		if l.end(ErrClosed) {
			leases = append(leases, l)
			ended = append(ended, l.grant.Lock)
		}
	}
	for _, l := range leases {
		l.notifyLoss(false)
	}
	return ended, renewed
}
