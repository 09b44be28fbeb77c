package redlocktest

import (
	"sync"
	"time"
)

// deadline is a moment that can be moved while someone waits for it, after the
// model of the one inside [net.Pipe]: a channel that is closed when the moment
// has come, and replaced when a passed deadline is moved.
type deadline struct {
	mu    sync.Mutex // protects what follows
	timer *time.Timer
	over  chan struct{} // closed when it has passed
}

// set moves the deadline; the zero time is none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	over := d.channel()
	if d.timer != nil && !d.timer.Stop() {
		<-over // the timer has fired: let it finish, so that it closes nothing newer
	}
	d.timer = nil

	select {
	case <-over:
		over = make(chan struct{})
		d.over = over
	default:
	}
	if t.IsZero() {
		return
	}
	if left := time.Until(t); left > 0 {
		d.timer = time.AfterFunc(left, func() { close(over) })
		return
	}
	close(over)
}

// wait returns a channel that is closed when the deadline has passed.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel()
}

func (d *deadline) passed() bool {
	select {
	case <-d.wait():
		return true
	default:
		return false
	}
}

// channel makes the channel at its first use; d.mu is held.
func (d *deadline) channel() chan struct{} {
	if d.over == nil {
		d.over = make(chan struct{})
	}
	return d.over
}
