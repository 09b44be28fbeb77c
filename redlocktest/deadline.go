package redlocktest

import (
	"sync"
	"time"
)

// deadline is a time that can be changed while a goroutine waits for it, like the one inside
// [net.Pipe]. Its channel is closed when the time has come, and replaced when the deadline is
// changed after that.
type deadline struct {
	mu    sync.Mutex // protects what follows
	timer *time.Timer
	over  chan struct{} // closed when it has passed
}

// set changes the deadline; the zero time means none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	over := d.channel()
	if d.timer != nil && !d.timer.Stop() {
		<-over // the timer has fired: wait until it has closed this channel, so that it does not close the next
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
