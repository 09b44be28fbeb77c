package redlock

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
)

// A Trace has functions that a Locker calls when something happens, for metrics and tests.
// A nil function is not called.
//
// Lost and Node are called in order on one goroutine, which also serves the logger
// ([WithLogger]). A slow function delays later reports and nothing else. It may call the
// Locker. While 10,000 reports wait, further ones are dropped, and the logger is told how
// many.
type Trace struct {
	// Round is called when the outcome of a round is known: an attempt to lock,
	// an extension, a release, an Attach. It is called from any goroutine, must be safe for
	// concurrent use, and must return quickly: it runs on the path of a lock.
	Round func(RoundInfo)

	// Lost is called when a lock ends other than by Unlock or Handle. cause matches
	// ErrExpired, ErrLost or ErrClosed.
	Lost func(name string, cause error)

	// Node is called with down when every call to a node has failed for a second or
	// longer, and without it when a call succeeds again. A majority may work meanwhile, so
	// this is how to learn that the next failure may be one too many. A node that receives
	// no calls is not watched.
	Node func(node string, down bool)

	// Same is called once for a node that is the same server as another node, under a
	// second name. Such a node has the value of an attempt before it was asked for the
	// first time. It does not count for that lock. [Locker.Check] names both nodes.
	Same func(node string)
}

// RoundInfo describes one round.
type RoundInfo struct {
	Op      string        // "lock", "extend", "unlock" or "attach"
	Name    string        // of the lock
	Granted int           // nodes that agreed when the outcome was certain
	Total   int           // nodes that were asked
	Elapsed time.Duration // from before the first send to the outcome
	Err     error         // nil if a majority agreed
}

// traceRound reports a round that began at the given reading.
func (l *Locker) traceRound(op, name string, granted int, begin clock.Reading, err error) {
	if l.trace.Round != nil {
		l.trace.Round(RoundInfo{op, name, granted, l.group.Len(), l.clock.Read().Since(begin), err})
	}
}
