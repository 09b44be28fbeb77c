package waiting

import (
	"strconv"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
)

// queues are local wait queues, one for each key, and one for each set of keys that are wanted at
// once. The callers that want one lock wait in the
// order of their arrival. Only the head of a queue asks the nodes. The others cost a node
// nothing, however many they are. Without WithFair the caller that was granted the lock stays
// the head until the lock ends, so the second does not ask in vain. (With WithFair it leaves the
// queue, and the nodes know the second.)
//
// What is passed on is the head of the queue, never the lock. Every acquisition is a fresh
// one with a value of its own.
//
// They are safe for concurrent use.
type queues struct {
	mu    sync.Mutex
	byKey map[string]queue // those with a waiter, and those with another waiter

	// left is called when the last waiter with a ticket has left a queue, if the nodes know
	// the position of that queue.
	left func(e *Entry, known fanout.Position)

	sweepAt int // size of byKey at which sweep is due
	readers int // entries that are to read

	// The largest ticket that was drawn, for any key. No ticket is drawn twice. Nodes forget
	// the largest ticket of a queue, and a release also gives up the positions up to its own
	// ticket.
	drawn int64
}

// A queue is a list of entries. It has 128 bytes at most: a map allocates a larger value by
// itself.
//
// Tens of thousands of callers may wait, and give up at one moment. The mutex is for all
// keys. So no method walks along a queue. Drawing tickets visits each entry once: undrawn.
type queue struct {
	first, last *Entry
	failure     error        // of the last attempt, nil once the lock was granted
	other       *otherWaiter // nil if no waiter of another Locker is known
	count       int64        // of entries
	joined      uint64       // seq of the last entry that joined

	// With WithFair.
	fair    int64           // entries that draw tickets
	asked   uint64          // joined when the last attempt began
	undrawn *Entry          // the first entry that joined after the attempt that drew last
	drawn   int64           // the largest ticket, also of entries that have left
	known   fanout.Position // what the nodes know of the position of this queue
	front   int64           // the smallest ticket of all Lockers, as the nodes said, 0 if they did not
}

// An Entry is one caller in a wait queue. It stays there until the caller gives up, or until
// the lock ends that the caller was granted; with WithFair until the grant. Leave and Released of a nil Entry do nothing.
type Entry struct {
	queues      *queues
	key         string        // of the queue: that of the lock, or a name for all of set
	set         []string      // the keys, if the caller wants several, or is to read, or wants a slot; never changes
	head        chan struct{} // closed when the entry becomes the head; nil if it was from the start
	news        chan struct{} // has room for one: another entry joined behind; nil unless fair
	seq         uint64        // in the order of joining: never larger than that of an entry behind
	positionTTL time.Duration // how long the nodes are to keep the position
	flag        time.Duration // how long the waiter flag is to live

	// Protected by queues.mu.
	before, behind *Entry
	ahead          int64 // see maxAhead
	holder         Holder
	ticket         int64         // with WithFair, once the nodes were asked for the largest one
	inherited      *subscription // of the former head, whose attempt announced the ticket
	left           bool

	fair, shared bool // the entry draws a ticket; the caller is to read; never change
}

// A Holder is a lock that the head of a queue was granted.
type Holder interface {
	// WatchEnd makes the lock end at its deadline, even if no caller looks at it.
	WatchEnd()
	// Label is the label of the Locker that holds the lock.
	Label() string
}

func newQueues() queues { return queues{byKey: make(map[string]queue)} }

// join adds a caller to the queue of a key, or of the keys of set. If key is none of these, it is the name
// of the queue. p is nil unless the caller draws a
// ticket. If the head of the queue holds the lock, WatchEnd is called: perhaps no other caller
// waits for the end of that lock.
func (q *queues) join(key string, set []string, shared bool, p *Pauses) *Entry {
	e, holder := q.add(key, set, shared, p)
	if holder != nil {
		holder.WatchEnd()
	}
	return e
}

func (q *queues) add(key string, set []string, shared bool, p *Pauses) (e *Entry, holder Holder) {
	if set != nil && key == set[0] {
		key = nameOf(set)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	in := q.byKey[key]
	in.joined++
	e = &Entry{queues: q, key: key, set: set, shared: shared, fair: p != nil, seq: in.joined, ahead: in.count}
	in.count++
	if shared {
		q.readers++
	}
	if e.fair {
		in.fair++
		e.positionTTL, e.flag = p.PositionTTL, p.FlagTTL()
		e.news = make(chan struct{}, 1)
	}
	if in.first == nil {
		if in.other != nil && in.other.gone() {
			in = queue{joined: in.joined, count: in.count, fair: in.fair}
		}
		in.first = e
	} else {
		e.head = make(chan struct{})
		e.before, in.last.behind = in.last, e
		holder = in.first.holder
		select {
		case in.first.news <- struct{}{}:
		default:
		}
	}
	in.last = e
	if in.undrawn == nil {
		in.undrawn = e
	}
	q.byKey[key] = in
	return e, holder
}

// nameOf is a name for the queue of several keys. It has the form of a side key, so no lock has it
// for a key.
func nameOf(set []string) string {
	name := []byte("{")
	for _, key := range set {
		name = strconv.AppendInt(name, int64(len(key)), 10)
		name = append(append(append(name, ':'), key...), ';')
	}
	return string(append(name, "}:queue"...))
}

// keys are those of the locks that the caller wants.
func (e *Entry) keys() []string {
	if e.set == nil {
		return []string{e.key}
	}
	return e.set
}

// granted notes that the head of a queue has the lock. It calls WatchEnd if another caller
// waits for the end of the lock.
func (e *Entry) granted(h Holder) {
	q := e.queues
	q.mu.Lock()
	e.holder = h
	if in, ok := q.byKey[e.key]; ok && !e.left {
		in.failure = nil
		q.byKey[e.key] = in
	}
	awaited := e.behind != nil
	q.mu.Unlock()
	if awaited {
		h.WatchEnd()
	}
}

// admitted ends the wait of a reader, or of the holder of a slot: neither keeps all others out. It returns what Waiter.Granted does.
func (e *Entry) admitted() fanout.Position {
	q := e.queues
	q.mu.Lock()
	if in, ok := q.byKey[e.key]; ok && !e.left {
		in.failure = nil
		q.byKey[e.key] = in
	}
	if e.shared {
		q.letReadersIn(e.set[0])
	}
	q.mu.Unlock()
	return e.remove()
}

// waiting is how many callers wait in a queue. The holder of the lock does not count.
func (q *queues) waiting(key string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	in := q.byKey[key]
	if in.first != nil && in.first.holder != nil {
		return int(in.count) - 1
	}
	return int(in.count)
}

// Leave leaves the queue. It may be called again.
func (e *Entry) Leave() {
	if e == nil {
		return
	}
	if known := e.remove(); known.Ticket > 0 {
		e.queues.left(e, known)
	}
}

// remove takes the entry out of its queue. If no waiter with a ticket is left, it returns
// what the nodes know of its position.
func (e *Entry) remove() (known fanout.Position) {
	q := e.queues
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.left {
		return known
	}
	e.left = true
	in := q.byKey[e.key]
	in.count--
	if e.shared {
		q.readers--
	}
	if e.fair {
		in.fair--
	}
	if e.before == nil {
		in.first = e.behind
	} else {
		e.before.behind = e.behind
	}
	if e.behind == nil {
		in.last = e.before
	} else {
		e.behind.before = e.before
	}
	if e.before == nil && in.first != nil {
		close(in.first.head)
	}
	if in.undrawn == e {
		in.undrawn = e.behind
	}
	e.before, e.behind = nil, nil
	if in.fair == 0 {
		known, in.known, in.drawn = in.known, fanout.Position{}, 0
	}
	if in.first == nil && in.other == nil {
		delete(q.byKey, e.key)
		return known
	}
	q.byKey[e.key] = in
	if in.first == nil {
		q.sweep()
	}
	return known
}

// failed notes the error of an attempt of the head.
func (e *Entry) failed(err error) {
	q := e.queues
	q.mu.Lock()
	defer q.mu.Unlock()
	if in, ok := q.byKey[e.key]; ok && !e.left {
		in.failure = err
		q.byKey[e.key] = in
	}
}

// lastFailure is the error of the last attempt of the queue. It is nil if the lock was granted
// since, and if no attempt was made yet.
func (e *Entry) lastFailure() error {
	e.queues.mu.Lock()
	defer e.queues.mu.Unlock()
	return e.queues.byKey[e.key].failure
}

// callersAhead is how many entries come first, at most, and lastFailure.
func (e *Entry) callersAhead() (most int, failure error) {
	e.queues.mu.Lock()
	defer e.queues.mu.Unlock()
	in := e.queues.byKey[e.key]
	return e.maxAhead(in), in.failure
}

// maxAhead is how many entries come first, or more: an entry that has left may be counted
// until those before it have left, too. It never grows. queues.mu is held.
func (e *Entry) maxAhead(in queue) int {
	if e.left {
		return 0
	}
	e.ahead = min(e.ahead, in.count-1, int64(e.seq-in.first.seq))
	return int(e.ahead)
}

// holder is the lock that the head was granted, nil if it was not.
func (q *queues) holder(key string) Holder {
	q.mu.Lock()
	defer q.mu.Unlock()
	if first := q.byKey[key].first; first != nil {
		return first.holder
	}
	return nil
}
