package waiting

import "time"

// An otherWaiter waits for the same lock at another Locker, and a release found its flag; or it is a
// reader of this process.
type otherWaiter struct {
	id        string
	roundTrip time.Duration // of that release
	at        time.Time     // of that release
	inRow     int           // releases in a row that found the same waiter
}

// maxInRow is how many locks in a row a queue may get while the same caller of another Locker
// waits. Then the next head lets a whole retry delay pass. It hears of a release before any
// other waiter, and could win every time.
const maxInRow = 8

// gone reports whether the other waiter is gone, as far as is known here.
func (o *otherWaiter) gone() bool { return time.Since(o.at) > MaxFlagTTL }

// Released notes what a release found: the id of another Locker's waiter, "" if there was
// none. took is how long the release took.
func (e *Entry) Released(otherWaiterID string, took time.Duration) {
	if e == nil {
		return
	}
	q := e.queues
	q.mu.Lock()
	defer q.mu.Unlock()
	if in, ok := q.byKey[e.key]; ok && !e.left {
		if otherWaiterID == "" && q.readersWait(e.key) {
			otherWaiterID = localReaders
		}
		switch {
		case otherWaiterID == "":
			in.other = nil
		case in.other == nil || in.other.id != otherWaiterID:
			in.other = &otherWaiter{id: otherWaiterID}
		}
		if o := in.other; o != nil {
			o.inRow++
			o.roundTrip, o.at = took, time.Now()
		}
		q.byKey[e.key] = in
	}
}

// localReaders stands for the id of the waiter: readers of this process wait for the same lock, in a
// queue of their own. The next head would ask before they have heard of the release, every time.
const localReaders = "readers of this process"

// readersWait reports whether readers wait here for the lock with this key. q.mu is held.
func (q *queues) readersWait(key string) bool {
	return q.readers > 0 && q.byKey[nameOf([]string{key})].failure != nil
}

// letReadersIn notes that a reader of this process was let in: the next writer need not back off for
// them. q.mu is held.
func (q *queues) letReadersIn(key string) {
	in := q.byKey[key]
	if in.other == nil || in.other.id != localReaders {
		return
	}
	if in.other = nil; in.first == nil {
		delete(q.byKey, key)
		return
	}
	q.byKey[key] = in
}

// otherWaits is how many locks in a row the queue was granted while the same caller of another
// Locker waits, 0 if none does. roundTrip is how long one takes.
func (e *Entry) otherWaits() (inRow int, roundTrip time.Duration) {
	q := e.queues
	q.mu.Lock()
	defer q.mu.Unlock()
	o := q.byKey[e.key].other
	if o == nil {
		return 0, 0
	}
	return o.inRow, o.roundTrip
}

// sweep forgets the empty queues whose other waiter is gone. It does so whenever the number of
// queues has doubled, which costs little for each queue. q.mu is held.
func (q *queues) sweep() {
	if len(q.byKey) <= q.sweepAt {
		return
	}
	for key, in := range q.byKey {
		if in.first == nil && in.other.gone() {
			delete(q.byKey, key)
		}
	}
	q.sweepAt = max(2*len(q.byKey), 64)
}
