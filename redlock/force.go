package redlock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
)

// A Forced says what [Locker.ForceRelease] ended.
type Forced struct {
	Name string
	// Held is the label of the holder that had a majority, as in [State]. It is "" if none
	// had one.
	Held string
	// Readers is how many shared the lock, at least, as in [State]; 0 if Held had it alone.
	Readers int
	// Holders are the clients whose keys are gone, each with the number of nodes, the
	// largest number first. There are several if they had split the nodes.
	Holders []Holder
	Total   int // all nodes
	// Failed are the nodes that did not answer, or have something else under the key, each
	// with the reason; nil if there are none. A key may be left on them until it expires.
	Failed []*NodeError
}

// String describes in a line what was ended.
func (f Forced) String() string {
	if len(f.Holders) == 0 {
		return fmt.Sprintf("nothing of %q was ended", f.Name)
	}
	text := fmt.Sprintf("%q was held by %s and is released", f.Name, Holder{Label: f.Held, Readers: f.Readers})
	if f.Held == "" {
		text = fmt.Sprintf("nobody held %q; what kept others from it is deleted", f.Name)
	}
	for i, h := range f.Holders {
		separator := ":"
		if i > 0 {
			separator = ","
		}
		text += fmt.Sprintf("%s the key of %v on %d of %d nodes", separator, h, h.Nodes, f.Total)
	}
	return text
}

// errNoLock is why a node is left alone.
var errNoLock = errors.New("a text without a time to live, which is not the value of a lock: if it is one, delete that key there")

// ForceRelease ends the lock called name, whatever holder of this library or another one
// has it, and names that holder. Use it when you know that the holder is dead, or wrong.
//
// The holder is not asked and not notified. The context of its lock ends when it next
// asks the nodes. If the lock is kept alive, that is its next renewal, within a third of
// the TTL. Otherwise the context ends at Lock.Until at the latest. Until then the holder
// works on, and another one may hold the lock at the same time. Where that must not be,
// stop the holder first, or rely on a fencing token.
//
// ForceRelease first reads the key on every node. Then it deletes on each node the
// value that it read there, and no other. So a lock that was granted meanwhile stays.
// Waiters are notified, as after any release. Keys without a majority are deleted, too,
// for instance those of several holders that split the nodes.
//
// Take care with the name: every string with a time to live is deleted, a cache entry,
// too, if it has at most 512 bytes. A string without a time to live is deleted only if
// it looks like the value of a lock. Other data stays, and its node counts as failed.
//
// It returns nil once a majority has confirmed that the values which were read are
// gone. The error matches [ErrNotHeld] if no node had a key, or if all keys were gone
// before. It matches [ErrNoQuorum] if less than a majority could be read; then nothing
// was deleted. It also matches [ErrNoQuorum] if less than a majority confirmed within
// the node timeout. With these errors the Forced says what is known: Failed, and what
// was confirmed. The error matches ctx.Err() if ctx ended first, and [ErrClosed] after
// [Locker.Close]. Then no Holders are known. After ErrNoQuorum or ctx.Err() deletions
// may still be carried out, and ForceRelease may be repeated.
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
	if most, nodes := fanout.Mostly(seen); most.Held && nodes >= q.Needed {
		f.Readers, f.Held = holdersIn(seen, most.Value)
	}

	if err := l.enter(); err != nil {
		return Forced{}, fmt.Errorf("redlock: %s %q: %w", op, name, err)
	}
	dropped := l.group.Delete(ctx, key, values, l.config.nodeTimeout, l.leave)
	if dropped == nil {
		return f, fmt.Errorf("%w; what was sent to the nodes may still be carried out", interrupted(ctx, op, name, nil))
	}
	q.Granted = 0
	e := new(QuorumError) // of those whose keys are gone
	for i, a := range dropped {
		switch {
		case seen[i].Status == node.Failed: // and was not asked again
		case a.Status == node.Failed:
			f.fail(q, l.group.Name(i), a.Err)
		case a.Status == node.Deleted, a.SentBefore && values[i] != "":
			// A reply may be lost with its connection. The release was sent again then, and
			// finds nothing if the first one was carried out.
			e.addHolder(values[i], "")
			fallthrough
		default:
			q.Granted++
		}
	}
	f.Holders = e.Holders
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
		return f, fmt.Errorf("redlock: %s %q: %w: it was released meanwhile, or another client has got it", op, name, ErrNotHeld)
	}
	return f, nil
}

// fail notes that nothing is known of a node.
func (f *Forced) fail(q *QuorumError, name string, err error) {
	q.addNode(name, err)
	f.Failed = append(f.Failed, &NodeError{Node: name, Err: err})
}
