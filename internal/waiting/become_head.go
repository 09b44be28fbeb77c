package waiting

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/quorum"
)

// Ready waits until the first attempt is due. By then the waiter is the head of its queue. It has
// backed off for another Locker if it must. If it inherited a subscription, a release or another
// reason has woken it. Ready returns false if ctx ends, the Locker closes, or the last try is
// spent.
//
// behind is called instead of an attempt, and when Ready fails while the waiter is behind the
// head.
func (w *Waiter) Ready(ctx context.Context, behind func()) bool {
	if w.entry == nil {
		return true
	}
	if (w.shared || w.slots) && !w.fair && w.entry.lastFailure() == nil {
		return true // they do not keep each other out: see Await
	}
	if !w.becomeHead(ctx, behind) || !w.fair && !w.backOff(ctx) {
		return false
	}
	if w.subscription = w.entry.inherit(); w.subscription == nil {
		return true
	}
	w.contended = true
	return w.pause(ctx, Failure{Missing: quorum.Majority(w.hub.nodes)})
}

// becomeHead waits until the waiter is the head of its queue. If it had asked the nodes after
// every retry delay, it would have found the lock taken. So each retry delay costs a try.
func (w *Waiter) becomeHead(ctx context.Context, behind func()) bool {
	for w.entry.head != nil {
		var pause <-chan time.Time
		if w.maxTries > 0 {
			pause = time.After(w.pauses.Delay()) // collected when it is not waited for any more
		}
		select {
		case <-w.entry.head:
			return ctx.Err() == nil
		case <-pause:
			w.tries++
			behind()
			if w.tries == w.maxTries {
				return false
			}
		case <-w.hub.config.Closing:
			behind()
			return false
		case <-ctx.Done():
			behind()
			return false
		}
	}
	return true
}

// isHead reports whether the waiter is the head of its queue.
func (w *Waiter) isHead() bool {
	if w.entry.head == nil {
		return true
	}
	select {
	case <-w.entry.head:
		return true
	default:
		return false
	}
}

// backOff lets a waiter of another Locker try first, if the last release found one. The more
// often the queue was granted the lock before that waiter, the longer it backs off. backOff
// returns false if ctx ends or the Locker closes.
func (w *Waiter) backOff(ctx context.Context) bool {
	inRow, roundTrip := w.entry.otherWaits()
	if inRow == 0 {
		return true
	}
	w.contended = true
	d := w.pauses.Delay()
	if inRow < maxInRow {
		d = min(d, w.pauses.BackOff(roundTrip, inRow-1))
	}
	return w.hub.Pause(ctx, d)
}
