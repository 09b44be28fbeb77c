package redlock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A Forced is what [Locker.ForceRelease] ended.
type Forced struct {
	Name string
	// Held is the label of the holder whom a majority had, as in [State]; "" if nobody held
	// the lock, and there were only keys that were left.
	Held string
	// Holders are those whose keys are gone, with the number of nodes; those with most
	// nodes come first. Several of them had split the nodes.
	Holders []Holder
	Total   int // nodes of the Locker
	// Failed are the nodes that did not answer, each with the reason; nil if all did. Of
	// these nothing is known: a key may be left there until it expires.
	Failed []*NodeError
}

// String describes in a line what was ended.
func (f Forced) String() string {
	if len(f.Holders) == 0 {
		return fmt.Sprintf("nothing of %q was ended", f.Name)
	}
	text := fmt.Sprintf("%q was held by %s and is released", f.Name, f.Held)
	if f.Held == "" {
		text = fmt.Sprintf("nobody held %q; what kept others from it is deleted", f.Name)
	}
	for i, h := range f.Holders {
		separator := ":"
		if i > 0 {
			separator = ","
		}
		text += fmt.Sprintf("%s the key of %s on %d of %d nodes", separator, h.Label, h.Nodes, f.Total)
	}
	return text
}

// errNoLock is why a node is left alone.
var errNoLock = errors.New("a text without a time to live, which is not the value of a lock: if it is one, delete that key there")

// ForceRelease takes the lock called name away from whoever has it, of this library or
// another one, and says from whom. It is for people who know that the holder is dead, or
// wrong.
//
// The holder is not asked and not told. The context of its lock ends at its next contact
// with the nodes: with [WithKeepAlive] at the next renewal, within a third of its TTL;
// without, at Lock.Until at the latest. Until then it works on, so somebody else may hold
// the lock at the same time. Where that must not be, stop the holder first, or rely on a
// fencing token.
//
// It first looks at every node. Then it deletes, on each node, the value that it saw
// there and no other, so the lock of somebody who got it meanwhile stays. Callers who
// wait are told, as after any release. It deletes keys that no majority has, too: those
// of several holders that keep everybody from the lock. It leaves alone what is no lock: a
// longer text, or one without a time to live that does not look like the value of a lock;
// such a node is one of those that failed.
//
// It returns nil once a majority confirmed that it does not have what was seen. The error
// matches [ErrNotHeld] if no node had a key, or if all were gone before they could be
// deleted. It matches [ErrNoQuorum] if less than a majority answered the look, when nothing
// was deleted, or if less than a majority confirmed within the node timeout. Then the
// Forced says what was confirmed, and what else was sent may still be carried out; so it is
// if ctx ends, which the error matches then. ForceRelease may be repeated. After
// [Locker.Close] it matches [ErrClosed].
//
// A user needs no rights but those of locks. It takes two round trips, and two node
// timeouts at most.
func (l *Locker) ForceRelease(ctx context.Context, name string) (Forced, error) {
	const op = "force release"
	key, seen, err := l.lookAt(ctx, op, name, 0, everyNode)
	if err != nil {
		return Forced{}, err
	}
	f := Forced{Name: name, Total: len(seen)}
	values := make([]string, len(seen)) // by node, "" for those without a key
	keys := 0
	for i, a := range seen {
		if a.Status == node.Taken && a.TTL < 0 && !isLockValue(a.Holder) {
			seen[i] = node.Answer{Err: errNoLock}
		} else if a.Status == node.Taken {
			values[i] = a.Holder
			keys++
		}
	}
	q := &QuorumError{Op: op, Name: name, Needed: l.group.Majority(), Total: len(seen), kind: ErrNoQuorum}
	for i, a := range seen {
		if a.Status == node.Failed {
			f.fail(q, l.group.Name(i), a.Err)
		} else {
			q.Granted++
		}
	}
	switch {
	case q.Granted < q.Needed:
		q.note = "nothing was deleted"
		return f, q
	case keys == 0:
		return f, fmt.Errorf("redlock: %s %q: %w: no key on the %d of %d nodes that answered", op, name, ErrNotHeld, q.Granted, q.Total)
	}
	if most, nodes := mostly(seen); most.held && nodes >= q.Needed {
		f.Held = holderOf(most.value)
	}

	if err := l.enter(); err != nil {
		return Forced{}, fmt.Errorf("redlock: %s %q: %w", op, name, err)
	}
	dropped := l.group.Delete(ctx, key, values, l.config.nodeTimeout, l.leave)
	if dropped == nil {
		return f, fmt.Errorf("%w; what was sent to the nodes may still be carried out", interrupted(ctx, op, name, nil))
	}
	q.Granted = 0
	gone := make(map[string]int)
	for i, a := range dropped {
		switch {
		case seen[i].Status == node.Failed: // and was not asked again
		case a.Status == node.Failed:
			f.fail(q, l.group.Name(i), a.Err)
		case a.Status == node.Deleted, a.Lost && values[i] != "":
			// A reply may be lost with its connection. The release was sent again then, and
			// finds nothing if the first one was carried out.
			gone[values[i]]++
			fallthrough
		default:
			q.Granted++
		}
	}
	for value, nodes := range gone {
		f.Holders = append(f.Holders, Holder{Label: holderOf(value), Nodes: nodes})
	}
	slices.SortFunc(f.Holders, func(a, b Holder) int {
		if a.Nodes != b.Nodes {
			return b.Nodes - a.Nodes
		}
		return strings.Compare(a.Label, b.Label)
	})
	switch {
	case q.Granted < q.Needed:
		q.note = "whether the others have carried it out is unknown"
		return f, q
	case len(f.Holders) == 0:
		return f, fmt.Errorf("redlock: %s %q: %w: it was released meanwhile, or somebody else has got it", op, name, ErrNotHeld)
	}
	return f, nil
}

// fail notes that nothing is known of a node.
func (f *Forced) fail(q *QuorumError, name string, err error) {
	q.addNode(name, err)
	f.Failed = append(f.Failed, &NodeError{Node: name, Err: err})
}
