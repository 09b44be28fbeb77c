package redlock

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/internal/waiting"
	"github.com/quorumlock/quorumlock/pool"
)

// A ChangeKind says what happened to a lock.
type ChangeKind int

const (
	Released ChangeKind = iota // it is not held: it was released, or was free when the watch began
	Expired                    // it is not held: it expired
	Acquired                   // State.Holder holds it
	Unknown                    // too few nodes answer to say whether it is held; Err says why
)

func (k ChangeKind) String() string {
	switch k {
	case Released:
		return "released"
	case Expired:
		return "expired"
	case Acquired:
		return "acquired"
	case Unknown:
		return "unknown"
	}
	return fmt.Sprintf("ChangeKind(%d)", int(k))
}

// A Change is what happened to a lock that is watched. The zero Change is no event,
// though its Kind reads Released.
type Change struct {
	Kind  ChangeKind
	State State // after the change; if Kind is Unknown, the last state that was known
	Err   error // why nothing is known, if Kind is Unknown; else nil
}

// String describes the change in a line.
func (c Change) String() string {
	if c.Kind == Unknown {
		return fmt.Sprintf("unknown: %v", c.Err)
	}
	return fmt.Sprintf("%v: %v", c.Kind, c.State)
}

// Watch reports changes of the lock called name: first its present state, and then each
// new holder (also of this Locker), each release and each expiry, and when too few nodes
// answer to say whether the lock is held.
//
// Readers ([Locker.RLock]) are one holder: Acquired is reported when their number has changed, as far as
// it was looked at meanwhile.
//
// A new holder is reported even if its label is that of the last one, and so is a lock
// that was handed over ([Locker.Attach]). A lock that nobody holds, but with
// State.Blocked set, counts as not held: Released or Expired. An unlock before
// [WithMinHold] has passed is reported when the keys expire.
//
// A release is reported at once if the client can subscribe. Other changes are reported
// within the longest retry delay of the Locker ([WithRetryDelay]) or 5 s, whichever is
// shorter, and the time of a round. If the missing answers of nodes that failed could
// change the result, Unknown is reported two node timeouts later. A lock released just
// as it expires may be reported as either.
//
// The channel holds the newest change only: a slow reader misses earlier ones. It is
// closed when ctx ends or the Locker is closed: read it with range, or as in "c, ok :=
// <-ch". A change may be outdated when you read it: take the lock before you act on it.
//
// The error is that of a name that [Locker.Lock] refuses, or matches [ErrClosed].
func (l *Locker) Watch(ctx context.Context, name string) (<-chan Change, error) {
	key, err := keyOf(l.config.prefix, name)
	if err != nil {
		return nil, err
	}
	if l.isClosed() {
		return nil, fmt.Errorf("redlock: watch %q: %w", name, ErrClosed)
	}
	w := &watch{locker: l, name: name, key: key, notified: make(chan struct{}, 1), changes: make(chan Change, 1)}
	go w.run(ctx) // ends with ctx or the Locker
	return w.changes, nil
}

// A watch reads a lock whenever there is reason to.
type watch struct {
	locker    *Locker
	name      string
	key       string
	notified  chan struct{} // has room for one: there is a reason to look
	published atomic.Bool   // a release was published
	changes   chan Change   // has room for one

	known   bool // last is
	last    State
	at      time.Time // when it was asked for
	heard   bool      // of a release since
	unknown bool      // the nodes did not say how it is the last time
	between time.Time // since when it may be between two states, zero if it is not
}

func (w *watch) run(ctx context.Context) {
	defer close(w.changes)
	l := w.locker
	stop := l.hub.Watch(w.key, w.notify)
	defer stop()
	// Its waiter flag outlives the pause, whatever that is.
	flag := l.config.pauses.FlagTTL()
	for {
		asked := time.Now()
		state, err := l.inspect(ctx, w.name, flag)
		if ctx.Err() != nil || l.isClosed() {
			return
		}
		w.heard = w.published.Swap(false) || w.heard
		if change, is := w.note(asked, state, err); is {
			select {
			case <-w.changes: // nobody took the one before
			default:
			}
			w.changes <- change // there is room: nobody else sends
		}
		pause := min(l.config.retryMax, waiting.MaxFlagTTL/2)
		switch {
		case err == nil && state.TTL > 0:
			pause = min(pause, state.TTL+time.Millisecond)
		case !w.between.IsZero():
			pause = min(pause, l.config.nodeTimeout)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-w.notified:
		case <-l.closing:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// note compares what was seen with what was known.
func (w *watch) note(asked time.Time, s State, err error) (c Change, changed bool) {
	// Keys of a lock are deleted, and expire, one after the other. Where nodes fail, what
	// is between is no news yet.
	switch {
	case !unclear(err):
		w.between = time.Time{}
	case w.between.IsZero():
		w.between = asked
		return Change{}, false
	case asked.Sub(w.between) < 2*w.locker.config.nodeTimeout:
		return Change{}, false
	}
	if err != nil {
		changed, w.unknown = !w.unknown, true
		return Change{Kind: Unknown, State: w.last, Err: err}, changed
	}
	before, known, certain, at, heard := w.last, w.known, !w.unknown, w.at, w.heard
	w.last, w.known, w.at, w.unknown, w.heard = s, true, asked, false, false
	switch {
	case known && certain && before.value == s.value && before.Readers == s.Readers && (before.Holder == "") == (s.Holder == ""):
		return Change{}, false
	case s.Holder != "":
		return Change{Kind: Acquired, State: s}, true
	case known && !heard && before.TTL > 0 && time.Since(at) >= before.TTL:
		return Change{Kind: Expired, State: s}, true
	}
	return Change{Kind: Released, State: s}, true
}

// unclear reports whether nodes said different things, and others nothing.
func unclear(err error) bool {
	var q *QuorumError
	return errors.As(err, &q) && q.note != ""
}

// notify is called for every event on the channel of the lock. It may be a release; or a node
// has joined the channel, and what it published before is not known.
func (w *watch) notify(event pool.Event) {
	if event.Kind == pool.Message {
		w.published.Store(true)
	}
	select {
	case w.notified <- struct{}{}:
	default:
	}
}
