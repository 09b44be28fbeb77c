package redlock

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
)

// A Trace has functions that a Locker calls when something happens, for metrics and
// tests. A function that is nil is not called.
//
// Lost, Node and Same are called one at a time, in the order of the events, on the
// goroutine that also serves the logger ([WithLogger]). A slow function delays later
// reports and nothing else. It may call the Locker. If 10,000 reports wait, further ones
// are dropped, and the logger gets their number.
type Trace struct {
	// Round is called when the outcome of a round is known: an attempt to lock, an
	// extension, a release, an Attach. It is called from any goroutine, must be safe for
	// concurrent use, and must return quickly: the call that made the round waits for it.
	// So it must not call the Locker or a Lock.
	Round func(RoundInfo)

	// Lost is called once for a lock that ended before its holder gave it up by Unlock or
	// Handle. cause matches [ErrExpired] if the validity ended, [ErrLost] if so many
	// nodes deny the lock that no majority has it, and [ErrClosed] if the Locker was
	// closed. An expiry is reported at once if the lock is kept alive, if Lock.Context
	// was called, or if another caller of this process waits for the lock. Otherwise it
	// is reported when a method of the lock notices it, or by Close at the latest.
	Lost func(name string, cause error)

	// Node is called with down true when every call to a node has failed for a second or
	// longer, and with down false when a call succeeds again. Locks still work while a
	// majority does: this is how to learn that the next failure may be one too many. A
	// node that receives no calls is not watched.
	Node func(node string, down bool)

	// Same is called once for a node that is the same server as another node, under a
	// second name. The Locker notices that when a node already has the value of an attempt
	// that was sent under the other name. The node does not count for that lock.
	// [Locker.Check] names both nodes.
	Same func(node string)
}

// RoundInfo describes one round.
type RoundInfo struct {
	Op      string        // "lock", "extend", "unlock" or "attach"
	Name    string        // of the lock
	Granted int           // nodes that had agreed when the outcome was certain
	Total   int           // all nodes
	Elapsed time.Duration // from before the first send to the outcome
	Err     error         // nil if a majority agreed
}

// traceRound reports a round that began at the given reading.
func (l *Locker) traceRound(op, name string, granted int, begin clock.Reading, err error) {
	if l.trace.Round != nil {
		l.trace.Round(RoundInfo{op, name, granted, l.group.Len(), l.clock.Read().Since(begin), err})
	}
}
