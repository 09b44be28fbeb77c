package redlock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/lease"
	"github.com/quorumlock/quorumlock/internal/node"
)

// Errors match these with [errors.Is]. That is a contract.
//
// A [QuorumError] also matches the error of each node that failed. So the error of
// every method may match [context.DeadlineExceeded] because a node timed out: ask
// ctx.Err() whether ctx has ended.
var (
	// ErrTaken: another caller has the lock, may have it, or comes first. Ask again later,
	// or leave the work to that caller. If another holder has it, a [QuorumError] names
	// the holders, and says on how many nodes each was seen. Other reasons: several
	// callers split the nodes, and one may have a majority on nodes that have not answered
	// yet; the lock was unlocked, but its [WithMinHold] is not over; if [WithFair] is set,
	// other waiters come first; if [WithFencing] is set, the token that the Locker
	// proposed was repeatedly too small; or ctx stems from the context of a lock of the
	// same name.
	ErrTaken = errors.New("lock is taken")

	// ErrNoQuorum: too few nodes agreed, and no other caller is known to have the lock. In
	// most cases less than a majority answered in time, and the error says why each other
	// node failed: see to the nodes, or ask again later. There are two rarer reasons. A
	// majority agreed, but too late: no validity was left, or the fencing token was too
	// old. Or several values split the nodes, and it is certain that none of them has a
	// majority. That ends when their keys expire, or with [Locker.ForceRelease].
	ErrNoQuorum = errors.New("no quorum")

	// ErrNotHeld: the lock had ended before the call: it had expired, was lost, was
	// released, or was handed over. Methods of a nil [Lock] return it, too.
	ErrNotHeld = errors.New("lock is not held")

	// ErrExpired, as a cause of Lock.Context(): the validity window ended.
	ErrExpired = lease.ErrExpired

	// ErrLost, as a cause of Lock.Context(): so many nodes deny the lock that no majority
	// has it. The error of [Locker.Do] has a wider meaning: see there.
	ErrLost = lease.ErrLost

	// ErrReleased, as a cause of Lock.Context(): Unlock was called.
	ErrReleased = lease.ErrReleased

	// ErrHandedOver, as a cause of Lock.Context(): Lock.Handle was called. Another
	// process may go on with the lock. This one does not hold it any more.
	ErrHandedOver = lease.ErrHandedOver

	// ErrNodeBusy: the node has more than 64 unanswered commands, or its client has not
	// returned from as many that were given up. Until it answers, new commands to this
	// node fail at once, except one probe at a time. The other nodes count as usual.
	ErrNodeBusy = node.ErrBusy

	// ErrQuarantine is the error of a node that may have forgotten locks:
	// [WithRestartGuard] does not count it until all that it may have forgotten have
	// expired.
	ErrQuarantine = errors.New("node is in quarantine")

	// ErrClosed: the Locker was closed. Also a cause of Lock.Context(). [pool.ErrClosed]
	// is another error: that of a node whose client was closed.
	ErrClosed = lease.ErrClosed
)

// A QuorumError says how the nodes answered when no majority agreed. It matches one of
// ErrTaken, ErrNoQuorum, ErrNotHeld and ErrLost. It also matches the error of each node
// that failed, for example [context.DeadlineExceeded] or a [*net.OpError]. With ErrLost
// it is the cause of a lock's context, and later errors of the lock wrap it.
//
// To "inspect", "list" and "force release" a node agrees by answering. If an "inspect"
// depends on the failed nodes, Granted is how many nodes hold the lock.
type QuorumError struct {
	Op      string            // "lock", "extend", "downgrade", "unlock", "attach", "inspect", "list" or "force release"
	Name    string            // of the lock
	Granted int               // nodes that had agreed when the outcome was certain
	Needed  int               // nodes that had to agree: a majority
	Total   int               // all nodes
	Holders []Holder          // that were seen, on most nodes first; may be empty
	Nodes   *multierror.Error // a *NodeError for each node that failed (go-multierror of hashicorp); nil if none did
	kind    error
	note    string
	refused []node.Streak // by node, of a lock that is waited for: in this attempt and those before
}

// A Holder is a client that has the key of a lock on some nodes.
type Holder struct {
	Label string // as given by [WithOwner], or "foreign holder #..." with a hash of its value
	Name  string // which lock it has, if several were asked for ([Locker.LockAll]); else ""
	Nodes int    // on which it has the key; 0 for a holder in this process: then no node was asked
	// Readers is how many share the lock ([Locker.RLock]) on the node where they are most, and Label is
	// that of one of them. It is 0 for a client that holds the lock alone.
	Readers int
}

// String names the holder: "web-1:42", "the reader web-1:42", or "web-1:42 and 2 other readers".
func (h Holder) String() string {
	switch h.Readers {
	case 0:
		return h.Label
	case 1:
		return "the reader " + h.Label
	case 2:
		return h.Label + " and 1 other reader"
	}
	return fmt.Sprintf("%s and %d other readers", h.Label, h.Readers-1)
}

// A NodeError says what went wrong on one node, with a remedy where one is known.
type NodeError struct {
	Node string // as the pool names it
	Err  error
}

func (e *NodeError) Error() string {
	text := fmt.Sprintf("node %s: %v", e.Node, e.Err)
	if remedy := node.Remedy(e.Err); remedy != "" {
		text += " (" + remedy + ")"
	}
	return text
}

func (e *NodeError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrQuarantine] and the node is in quarantine.
func (e *NodeError) Is(target error) bool {
	return target == ErrQuarantine && node.Quarantined(e.Err)
}

func (e *QuorumError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "redlock: %s %q: %v", e.Op, e.Name, e.kind)
	if e.kind != ErrTaken {
		fmt.Fprintf(&b, ": %d of %d nodes agreed, %d needed", e.Granted, e.Total, e.Needed)
	}
	for i, h := range e.Holders {
		separator := "; taken"
		switch {
		case i > 0:
			separator = ","
		case e.kind == ErrTaken:
			separator = ""
		}
		b.WriteString(separator)
		if h.Name != "" {
			if separator == "" {
				b.WriteString(":")
			}
			fmt.Fprintf(&b, " %q", h.Name)
		}
		fmt.Fprintf(&b, " by %v", h)
		if h.Nodes > 0 {
			fmt.Fprintf(&b, " on %d of %d nodes", h.Nodes, e.Total)
		}
	}
	if e.note != "" {
		b.WriteString("; " + e.note)
	}
	if e.Nodes != nil {
		for _, err := range e.Nodes.Errors {
			b.WriteString("; " + err.Error())
		}
	}
	return b.String()
}

// Unwrap lets [errors.Is] and [errors.As] find the Err value that the error stands for,
// and the error of each node.
func (e *QuorumError) Unwrap() []error {
	if e.Nodes == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.Nodes}
}

// newQuorumError describes a round. Leftovers of this Locker, which it is releasing, count as
// no holder. of are the locks that were asked for, nil if it was one.
func newQuorumError(op, name string, kind error, g *fanout.Group, r fanout.Result, of *set) *QuorumError {
	e := &QuorumError{Op: op, Name: name, Granted: r.Yes, Needed: g.Majority(), Total: r.Nodes, kind: kind}
	if n := r.Queued(); n > 0 {
		e.note = fmt.Sprintf("free on %d of %d nodes, but other waiters come first", n, r.Nodes)
	}
	if n := r.TokenTooSmall(); n > 0 {
		e.note = fmt.Sprintf("free on %d of %d nodes, but the fencing token was too small: they know of a larger one, or their clocks are ahead of the others by more than WithTokenLife", n, r.Nodes)
	}
	ours := 0 // nodes with a leftover
	var gone []string
	for i := range r.Nodes {
		a, answered := r.Answer(i)
		switch {
		case !answered:
		case a.Status == node.Taken:
			some := 0
			for _, held := range append([]node.Holding{{Index: a.Index, Holder: a.Holder}}, a.Others()...) {
				if g.IsLeftover(held.Holder) {
					some = 1
				} else {
					e.addHolder(held.Holder, of.nameAt(held.Index))
				}
			}
			ours += some
		case a.Status == node.Failed:
			e.addNode(g.Name(i), a.Err)
		case a.Status == node.Absent && (op == "extend" || op == opDowngrade || op == "attach"):
			gone = append(gone, g.Name(i))
		}
	}
	if len(gone) > 0 {
		e.note = "the key has expired, was deleted, or was forgotten in a restart on " + strings.Join(gone, ", ")
	}
	if ours > 0 && len(e.Holders) == 0 && e.note == "" {
		e.note = fmt.Sprintf("on %d of %d nodes an earlier attempt of this Locker was not rolled back yet", ours, r.Nodes)
	}
	slices.SortStableFunc(e.Holders, func(a, b Holder) int { return b.Nodes - a.Nodes })
	return e
}

func (e *QuorumError) addNode(name string, err error) {
	e.Nodes = multierror.Append(e.Nodes, &NodeError{Node: name, Err: err})
}

// addHolder adds what a node said that holds the lock called name.
func (e *QuorumError) addHolder(value, name string) {
	readers, label := readersOf(value)
	for i := range e.Holders {
		h := &e.Holders[i]
		if h.Name == name && (readers > 0 && h.Readers > 0 || readers == h.Readers && h.Label == label) {
			h.Readers = max(h.Readers, readers)
			h.Nodes++
			return
		}
	}
	e.Holders = append(e.Holders, Holder{Label: label, Name: name, Nodes: 1, Readers: readers})
}

// interrupted is the error of a call that its context ended. It matches
// ctx.Err(), the cause of that, and what the last attempt met.
func interrupted(ctx context.Context, op, name string, last error) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != err {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	if last == nil {
		return fmt.Errorf("redlock: %s %q: %w", op, name, err)
	}
	return fmt.Errorf("redlock: %s %q: %w; the last attempt: %w", op, name, err, last)
}
