package waiting

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/internal/random"
)

// drawPause is how long a caller that needs a ticket waits for others that need one, and for
// an attempt that is made anyway. A waiter that one node named waits as long for other nodes
// to name it.
const drawPause = 5 * time.Millisecond

// Await waits until there is a reason to ask again, after an attempt failed. It returns false
// if ctx ends or the Locker closes. With WithFair it may draw tickets, and returns at once
// then, so that the nodes are notified.
func (w *Waiter) Await(ctx context.Context, f Failure) bool {
	w.readers = f.Readers && !w.shared
	if (w.shared || w.slots) && !w.isHead() {
		return w.becomeHead(ctx, func() {}) // and asks again at once: the head may have been let in
	}
	if w.subscription == nil {
		w.subscribe()
	}
	if w.fair && w.drawTickets(f) {
		w.setBackstop()
		return true
	}
	return w.pause(ctx, f)
}

// subscribe subscribes to the wake-ups of the lock, or of each of several.
func (w *Waiter) subscribe() {
	id, suffix := w.fairID, ":"+w.fairID // in wait queues and flags; see position
	if !w.fair {
		id, suffix = w.flag().ID.(string), ""
	}
	if w.entry.set == nil {
		w.subscription = w.hub.wakeUps.subscribe(channelOf(w.entry.key)+suffix, id)
		return
	}
	channels := make([]string, 0, len(w.entry.set))
	for _, key := range w.entry.set {
		channels = append(channels, channelOf(key)+suffix)
	}
	w.subscription = w.hub.wakeUps.subscribeAll(channels, id)
}

// drawTickets draws tickets after an attempt that failed, and reports whether there were any.
func (w *Waiter) drawTickets(f Failure) bool {
	// More nodes answered than any majority leaves out. So every majority has one of them, and
	// the largest ticket that a majority has seen is known.
	return f.Answers > w.hub.nodes-quorum.Majority(w.hub.nodes) && w.entry.draw(f.Largest, f.Smallest)
}

// setBackstop notes when an attempt is due though nothing is heard.
func (w *Waiter) setBackstop() {
	if !w.extra {
		// Slow nodes are asked less often: for half of the time at most, so that they get to
		// answer. That pause is random, too.
		w.next = time.Now().Add(max(w.pauses.Delay(), w.took+random.N(w.took+1)))
		w.extra = true
	}
}

// pause waits until there is a reason to ask again. It returns false if ctx ends or the Locker
// closes.
//
// An attempt that comes earlier than the backstop is extra: it costs no try, and the backstop
// stays where it is.
func (w *Waiter) pause(ctx context.Context, f Failure) bool {
	w.setBackstop()
	at := w.next
	sooner := func(d time.Duration) bool {
		t := time.Now().Add(d)
		if t.Before(at) {
			at = t
			return true
		}
		return false
	}
	if w.subscription != nil && w.pauses.FlagTTL() == MaxFlagTTL {
		sooner(MaxFlagTTL / 2) // to renew the flag
	}
	if w.fair {
		sooner(w.pauses.PositionTTL / 3) // to keep the position
	}
	if f.Free > 0 {
		sooner(f.Free + random.N(w.pauses.RetryMin/10+1)) // a little at random: other waiters know the same
	}
	var news <-chan struct{}
	if w.fair {
		news = w.entry.news
		select { // now, so that it is not for chance to say whether it is seen before the rest
		case <-news:
			sooner(drawPause)
		default:
		}
	}
	timer := time.NewTimer(max(time.Until(at), 1)) // not 0 or less, see setTimer in package fanout
	defer timer.Stop()
	var notified <-chan struct{}
	if w.subscription != nil {
		notified = w.subscription.notified
	}
	for {
		select {
		case <-timer.C:
			w.extra = at.Before(w.next)
			return true
		case <-notified:
			switch enough, named := w.subscription.reason(f.Missing); {
			case !enough && named == thisWaiter && w.fair:
				// The other nodes may have named a waiter that is gone. A node that was down, or
				// lost the queue, does not know which waiter is the first.
				if sooner(drawPause) {
					timer.Reset(drawPause)
				}
				continue
			case !enough:
				continue
			case named == thisWaiter, named == noMessage:
				return true
			case named == anotherWaiter:
				w.backOffs = min(w.backOffs+1, MaxBackOffs)
			}
			if d := w.pauses.BackOff(f.Took, w.backOffs); sooner(d) {
				timer.Reset(d)
			}
		case <-news:
			if sooner(drawPause) {
				timer.Reset(drawPause)
			}
		case <-w.hub.config.Closing:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
