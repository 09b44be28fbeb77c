package redlock

import (
	"errors"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/waiting"
)

// following adds what the attempts before this one met, of all callers that were in the wait
// queue since the lock was granted. The nodes that were not heard this time are as they were.
// A caller that does not wait is in no queue.
func (e *QuorumError) following(w *waiting.Waiter, r fanout.Result) *QuorumError {
	if !w.Waits() {
		return e
	}
	var before *QuorumError
	if !errors.As(w.LastFailure(), &before) || len(before.refused) != r.Nodes {
		before = &QuorumError{}
	}
	if e.Nodes == nil && before.refused == nil {
		return e
	}
	e.refused = make([]node.Streak, r.Nodes)
	copy(e.refused, before.refused)
	for i := range r.Nodes {
		if a, heard := r.Answer(i); heard {
			e.refused[i].Note(a)
		}
	}
	return e
}

// permanent reports whether a majority stays impossible until the nodes or the configuration
// are fixed, as far as nodes have refused for long enough to say so.
func (e *QuorumError) permanent() bool {
	bad := 0
	for i := range e.refused {
		if e.refused[i].Permanent() {
			bad++
		}
	}
	return e.Total-bad < e.Needed
}
