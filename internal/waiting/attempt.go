package waiting

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// BeforeAttempt begins the attempt a. What the subscription has heard so far is forgotten. flag
// is what the attempt leaves on the nodes. leaves is false if that is nothing: no other caller
// is known to want the lock.
func (w *Waiter) BeforeAttempt(a Attempt) (flag node.WaiterFlag, leaves bool) {
	w.subscription.clear()
	switch {
	case w.fair:
		return w.position(a), true
	case w.entry == nil || !w.contended:
		return node.WaiterFlag{}, false
	}
	return w.flag(), true
}

// flag is the waiter flag of an attempt. It lives until the next attempt is over.
func (w *Waiter) flag() node.WaiterFlag {
	if w.id == "" {
		w.id = w.hub.shared.nextID()
	}
	flag := node.WaiterFlag{ID: w.id, TTL: min(w.pauses.FlagTTL()+2*w.took, MaxFlagTTL)} // see setBackstop
	flag.Position.Intent = w.readers
	return flag
}

// position is what an attempt with WithFair tells the nodes about the queue.
func (w *Waiter) position(a Attempt) node.WaiterFlag {
	flag := node.WaiterFlag{ID: w.fairID, Position: node.QueuePosition{TTL: w.pauses.PositionTTL}}
	if w.entry == nil { // it has no position, and leaves no flag
		return flag
	}
	flag.TTL = w.pauses.FlagTTL()
	w.announced = w.entry.announce(w.pauses.PositionTTL)
	if w.apart = w.isApart(); w.apart {
		w.announced.Ticket, w.announced.Next = 0, 0
	}
	flag.Position = w.announced
	if w.last != nil {
		w.last.NextAttemptBegins()
	}
	w.last = a
	return flag
}

// isApart reports whether the waiter reaches no majority, as far as the last attempt found
// out. Where that is open, it is as it was.
func (w *Waiter) isApart() bool {
	if w.last == nil {
		return false
	}
	majority := quorum.Majority(w.hub.nodes)
	switch answered, failed := w.last.Reached(); {
	case failed > w.hub.nodes-majority:
		return true
	case answered >= majority:
		return false
	}
	return w.apart
}

// Draw draws tickets after an attempt that was granted, with WithFair. largest is the largest
// ticket that the nodes said.
func (w *Waiter) Draw(largest int64) {
	if w.fair && w.entry != nil {
		w.entry.draw(largest, 0)
	}
}

// Granted ends the wait with the lock h. The caller stays in the queue until the lock ends and
// its entry leaves.
//
// A reader leaves the queue here, and so does the holder of a slot: the next one asks at once. With WithFair, too, it leaves the queue here: the next caller asks from now on, so that the nodes
// keep its position. left is then the position that the release of the lock is to give up. It is
// zero if a waiter with a ticket is left.
func (w *Waiter) Granted(h Holder) (left fanout.Position) {
	w.granted = true
	switch {
	case w.entry == nil:
	case w.shared, w.slots:
		left = w.entry.admitted()
	case w.fair:
		var inherited bool
		if left, inherited = w.entry.passOn(w.subscription, w.announced); inherited {
			w.subscription = nil
		}
	default:
		w.entry.granted(h)
	}
	return left
}

// Failed notes that an attempt failed with err, which the callers behind meet as well.
func (w *Waiter) Failed(err error, took time.Duration) {
	w.took = took
	if w.entry != nil {
		w.entry.failed(err)
	}
}

// CountTry counts an attempt that failed, unless it was an extra one. From now on attempts
// leave a waiter flag.
func (w *Waiter) CountTry() {
	if !w.extra {
		w.tries++
	}
	w.contended = true
}
