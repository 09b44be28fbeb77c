package lease

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
)

// suspendPeriod is how long after a suspend of the machine the contexts of leases
// that expired meanwhile may still be open.
const suspendPeriod = 250 * time.Millisecond

// A suspendWatch notices that the machine was suspended or that its clock was set
// forward. Timers follow the monotonic clock, which stands still in a suspend: one
// that was due in 5 s is due in 5 s of being awake. So one timer per Keeper
// looks whether the wall clock ran ahead, while leases have contexts to end.
type suspendWatch struct {
	leases  int // with a context that has not ended
	last    clock.Reading
	timer   *time.Timer
	running bool
}

// watchSuspend counts one more lease to watch over. Its mutex is held.
func (k *Keeper) watchSuspend() {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := &k.suspend
	w.leases++
	if w.running {
		return
	}
	w.running = true
	w.last = k.clock.Read()
	if w.timer == nil {
		w.timer = time.AfterFunc(suspendPeriod, k.checkSuspend)
	} else {
		w.timer.Reset(suspendPeriod)
	}
}

// checkSuspend runs on the timer.
func (k *Keeper) checkSuspend() {
	now := k.clock.Read()
	k.mu.Lock()
	w := &k.suspend
	var leases []*Lease
	if now.Skew(w.last) > noise {
		for l := range k.held {
			leases = append(leases, l)
		}
	}
	w.last = now
	if w.running = w.leases > 0; w.running {
		w.timer.Reset(suspendPeriod)
	}
	k.mu.Unlock()
	var ended []*Lease // contexts first
	for _, l := range leases {
		if _, just := l.expire(); just {
			ended = append(ended, l)
		} else {
			l.afterSuspend()
		}
	}
	finishAll(ended)
}

// afterSuspend makes up for a suspend that the lease outlived: its timer and that of
// its renewal stood still meanwhile.
func (l *Lease) afterSuspend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The time is read here: the goroutine may have paused since it noticed.
	now := l.keeper.clock.Read()
	if l.state.cause != nil {
		return
	}
	if l.timer != nil {
		l.timer.Reset(max(l.state.remaining(now), 1))
	}
	if l.keeper.renewals.remove(l) {
		l.renewBefore(10, now)
	}
}
