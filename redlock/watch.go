package redlock

import (
	"context"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A ChangeKind says what happened to a lock.
type ChangeKind int

const (
	Released ChangeKind = iota // nobody holds it: it was unlocked, or is free when the watch begins
	Expired                    // nobody holds it: it was not unlocked in time
	Acquired                   // State.Holder holds it
	Unknown                    // no majority of the nodes answers, see Err
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

// A Change is what happened to a lock that is watched.
type Change struct {
	Kind  ChangeKind
	State State // afterwards; of Unknown, the last that was known
	Err   error // of Unknown
}

// String describes the change in a line.
func (c Change) String() string {
	if c.Kind == Unknown {
		return fmt.Sprintf("unknown: %v", c.Err)
	}
	return fmt.Sprintf("%v: %v", c.Kind, c.State)
}

// Watch tells of changes of the lock called name: first how it is, and then whenever
// it has a new holder (of this Locker, too), was released, expired, or whenever no
// majority of nodes answers. A release is told at once, if the client can listen;
// everything else within the longest retry delay of the Locker ([WithRetryDelay]) and
// what it takes to ask.
//
// The channel holds the newest change only: who reads slowly misses those before it.
// It is closed when ctx ends or the Locker is closed. To act on what a watch says
// needs the lock: what it says is old when it arrives. The error is about the name, or
// matches [ErrClosed].
func (l *Locker) Watch(ctx context.Context, name string) (<-chan Change, error) {
	key, err := keyOf(l.config.prefix, name)
	if err != nil {
		return nil, err
	}
	if l.isClosed() {
		return nil, fmt.Errorf("redlock: watch %q: %w", name, ErrClosed)
	}
	w := &watch{locker: l, name: name, channel: node.SideKey(key, "wake"), stirs: make(chan struct{}, 1), changes: make(chan Change, 1)}
	go w.run(ctx) // ends with ctx or the Locker
	return w.changes, nil
}

// A watch looks at a lock whenever there is reason to.
type watch struct {
	locker  *Locker
	name    string
	channel string        // on which releases are published
	stirs   chan struct{} // has room for one: something was published
	changes chan Change   // has room for one

	known   bool // last is
	last    State
	at      time.Time // when it was asked for
	heard   bool      // something was published since
	unknown bool      // no majority answered the last time
}

func (w *watch) run(ctx context.Context) {
	defer close(w.changes)
	l := w.locker
	l.lines.watch(w.channel, w.stirs)
	defer l.lines.unwatch(w.channel, w.stirs)
	for _, node := range l.ears {
		if node != nil {
			node.Want(w.channel)
			defer node.Drop(w.channel)
		}
	}
	// Its mark outlives the pause, whatever that is.
	mark := l.config.markTTL()
	for {
		asked := time.Now()
		state, err := l.inspect(ctx, w.name, mark)
		if ctx.Err() != nil || l.isClosed() {
			return
		}
		if change, is := w.note(asked, state, err); is {
			select {
			case <-w.changes: // nobody took the one before
			default:
			}
			w.changes <- change // there is room: nobody else sends
		}
		pause := min(l.config.retryMax, maxMark/2)
		if err == nil && state.TTL > 0 {
			pause = min(pause, state.TTL+time.Millisecond)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-w.stirs:
			w.heard = true
		case <-l.closing:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// note compares what was seen with what was known.
func (w *watch) note(asked time.Time, s State, err error) (c Change, changed bool) {
	if err != nil {
		changed, w.unknown = !w.unknown, true
		return Change{Kind: Unknown, State: w.last, Err: err}, changed
	}
	before, known, at, heard := w.last, w.known && !w.unknown, w.at, w.heard
	w.last, w.known, w.at, w.unknown, w.heard = s, true, asked, false, false
	switch {
	case known && before.value == s.value && (before.Holder == "") == (s.Holder == ""):
		return Change{}, false
	case s.Holder != "":
		return Change{Kind: Acquired, State: s}, true
	case known && !heard && before.TTL > 0 && time.Since(at) >= before.TTL:
		return Change{Kind: Expired, State: s}, true
	}
	return Change{Kind: Released, State: s}, true
}

// watch has stirs told of what is heard on a channel.
func (l *lines) watch(channel string, stirs chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watchers[channel] == nil {
		l.watchers[channel] = make(map[chan struct{}]bool)
	}
	l.watchers[channel][stirs] = true
}

// unwatch ends that.
func (l *lines) unwatch(channel string, stirs chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.watchers[channel], stirs)
	if len(l.watchers[channel]) == 0 {
		delete(l.watchers, channel)
	}
}
