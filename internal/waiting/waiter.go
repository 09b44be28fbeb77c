package waiting

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A Waiter is one call that wants a lock. It is used by one goroutine. The call goes:
//
//	w.Join(key, set)      // in the order of arrival
//	w.Ready(ctx, behind)  // waits until the first attempt is due
//	w.BeforeAttempt(a)    // before each attempt
//	w.Failed(err, took)   // after an attempt that failed, and then:
//	w.CountTry()          // it is not repeated at once
//	w.Await(ctx, failure) // waits until the next attempt is due
//	w.Granted(lock)       // after the attempt that was granted
//	w.Leave()             // in any case
//
// A Waiter that never joins a queue is a call that does not wait.
type Waiter struct {
	hub    *Hub
	pauses *Pauses
	entry  *Entry // in a wait queue; nil if the call does not wait

	tries    int // attempts so far, without extra ones
	maxTries int // 0 for no limit

	next time.Time     // when the backstop is due
	took time.Duration // the last attempt

	id           string        // its waiter id, once it left a flag
	fairID       string        // with WithFair: the id of its queue on the nodes
	backOffs     int           // times that it backed off for another waiter, up to MaxBackOffs
	subscription *subscription // once an attempt has failed

	fair      bool
	shared    bool // the call is to read with others
	slots     bool // the call is for one of the slots of a semaphore
	readers   bool // the last attempt found readers, and the call is not to read
	extra     bool // the attempt comes earlier than the backstop
	contended bool // other callers want the lock, too
	granted   bool
	apart     bool // with WithFair: the last attempts reached no majority

	// With WithFair.
	announced node.QueuePosition // by the last attempt
	last      Attempt
}

// An Attempt is one round of questions to the nodes. [fanout.Claim] is one.
type Attempt interface {
	// NextAttemptBegins notes that the next attempt begins, which tells the nodes the position
	// of the waiter by itself.
	NextAttemptBegins()
	// Reached is how many nodes have answered the attempt, and how many have not in time. The
	// others may yet do either.
	Reached() (answered, failed int)
}

// A Failure is what a waiter is to know about an attempt that failed.
type Failure struct {
	Free    time.Duration // until the lock will have expired, 0 if that is not known
	Missing int           // nodes that must become free
	Took    time.Duration // the attempt
	Readers bool          // readers were in the way

	// With WithFair.
	Answers  int   // nodes that granted or denied the lock
	Largest  int64 // the largest ticket
	Smallest int64 // the smallest ticket that waits
}

// Waiter returns the state of a new call. shared is set if it is to read, slots if it is for a slot of
// a semaphore. maxTries is 0 for no limit.
func (h *Hub) Waiter(p *Pauses, fair, shared, slots bool, maxTries int) Waiter {
	return Waiter{hub: h, pauses: p, fair: fair, shared: shared, slots: slots, fairID: h.config.WaiterID + suffix(shared), maxTries: maxTries}
}

// Join joins the wait queue of a key, or that of a set of keys, if set is not nil. key is the first of
// them, or a name for the queue.
func (w *Waiter) Join(key string, set []string) {
	if w.fair {
		w.entry = w.hub.fair.join(key, set, w.shared, w.pauses)
		w.fairID = w.hub.waiterID(w.entry)
		return
	}
	w.entry = w.hub.shared.queues.join(key, set, w.shared, nil)
}

// Waits reports whether the call waits.
func (w *Waiter) Waits() bool { return w.entry != nil }

// Entry is the entry in the wait queue, nil if the call does not wait.
func (w *Waiter) Entry() *Entry { return w.entry }

// Leave ends the call. Unless it was granted the lock, it leaves the queue.
func (w *Waiter) Leave() {
	if !w.granted {
		w.entry.Leave()
	}
	// Once it has left the queue: until then it may inherit a subscription.
	if w.subscription == nil && w.entry != nil {
		w.subscription = w.entry.inherit()
	}
	if w.subscription != nil {
		w.hub.wakeUps.unsubscribe(w.subscription)
	}
}

// Tries is how many attempts were made, without extra ones.
func (w *Waiter) Tries() int { return w.tries }

// Spent reports whether the last try was made.
func (w *Waiter) Spent() bool { return w.tries > 0 && w.tries == w.maxTries }

// LastFailure is the error of the last attempt of the queue. It is nil if the lock was granted
// since, and if no attempt was made yet.
func (w *Waiter) LastFailure() error { return w.entry.lastFailure() }

// CallersAhead is how many callers of this process come first, at most, and LastFailure.
func (w *Waiter) CallersAhead() (most int, failure error) { return w.entry.callersAhead() }

// HolderLabel is the label of the Locker that holds the lock here, else that of its own
// Locker.
func (w *Waiter) HolderLabel() string {
	if holder := w.entry.queues.holder(w.entry.key); holder != nil {
		return holder.Label()
	}
	return w.hub.config.Label
}
