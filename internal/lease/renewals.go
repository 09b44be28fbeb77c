package lease

import (
	"sync"
	"time"
)

// renewals are the leases of a Keeper that are to be renewed. They wait for a renewal
// batch that they share with others. A batch has one timer, and there is no goroutine
// before it comes.
//
//	add --> batches --(timer)--> due --> at most maxRenewing goroutines --> add
//
// A lease that ends is removed at once, wherever it waits, and the timer of a batch
// that has lost all its leases is stopped: nothing is left of leases that have ended.
type renewals struct {
	mu      sync.Mutex               // protects the rest; nothing is called under it
	batches map[time.Duration]*batch // that have not come, by when they do
	due     []*batch                 // that have come, oldest first
	running int                      // goroutines that renew
	closed  bool
	idle    chan struct{} // made by close, closed when running is 0
}

// A batch has the leases that are to be renewed at one instant.
type batch struct {
	at     time.Duration // what a clock.Reading's Mono will be
	timer  *time.Timer
	leases []*Lease // in no order, each knows its index
}

// A slot is where a lease waits for its renewal. The mutex of renewals protects it.
type slot struct {
	batch *batch // nil if it does not wait
	index int    // there
}

// maxRenewing bounds the renewals of a Keeper that are under way. Ten thousand
// at once would wait for each other until all of them are given up, and then be
// tried again, all at once; one after the other they are done in time.
const maxRenewing = 64

func newRenewals() renewals { return renewals{batches: make(map[time.Duration]*batch)} }

// add has l, which does not wait yet, renewed at an instant: in is how long until then.
// l.mu is held and l has not ended, so its removal comes later.
func (r *renewals) add(l *Lease, at, in time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.batches[at]
	if b == nil {
		b = &batch{at: at}
		b.timer = time.AfterFunc(max(in, 1), func() { r.begin(b) }) // not 0 or less, see setTimer in package fanout
		r.batches[at] = b
	}
	l.slot = slot{b, len(b.leases)}
	b.leases = append(b.leases, l)
}

// begin runs on the timer of a batch. It has as many goroutines renew as are
// allowed, this one among them. Each ends when nothing is due.
func (r *renewals) begin(b *batch) {
	r.mu.Lock()
	if r.batches[b.at] != b { // all its leases have ended meanwhile
		r.mu.Unlock()
		return
	}
	delete(r.batches, b.at)
	r.due = append(r.due, b)
	more := min(len(b.leases), maxRenewing-r.running)
	r.running += more
	r.mu.Unlock()
	for ; more > 1; more-- {
		go r.renewDue()
	}
	if more == 1 {
		r.renewDue()
	}
}

// renewDue renews what is due, one lease after the other. Each is decided by the node
// timeout, or at once if the lease ends.
func (r *renewals) renewDue() {
	for l := r.next(); l != nil; l = r.next() {
		l.renew()
	}
}

// next returns a lease to renew, or nil: then the goroutine that asks ends. After close
// it returns nil: the leases are about to end.
func (r *renewals) next() *Lease {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ; len(r.due) > 0 && !r.closed; r.due = r.due[1:] {
		if b := r.due[0]; len(b.leases) > 0 {
			return b.take(len(b.leases) - 1)
		}
		r.due[0] = nil
	}
	r.due = nil // let go of the array that was sliced away
	if r.running--; r.running == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
	return nil
}

// remove takes out l, and reports whether it waited for a renewal. It does not if it has
// no keep-alive, or if its renewal is under way.
func (r *renewals) remove(l *Lease) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := l.slot.batch
	if b == nil {
		return false
	}
	b.take(l.slot.index)
	if len(b.leases) == 0 && r.batches[b.at] == b {
		b.timer.Stop()
		delete(r.batches, b.at)
	}
	return true
}

// close begins no more renewals. The channel is closed when those under way have ended,
// and nil if there are none.
func (r *renewals) close() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.running > 0 && r.idle == nil {
		r.idle = make(chan struct{})
	}
	return r.idle
}

// take takes out the lease with index i; the last one moves there.
func (b *batch) take(i int) *Lease {
	l, last := b.leases[i], len(b.leases)-1
	b.leases[i] = b.leases[last]
	b.leases[i].slot.index = i
	b.leases[last] = nil
	b.leases = b.leases[:last]
	l.slot.batch = nil
	return l
}
