package redlock

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A State is what the nodes say about a lock. It is old when it is read: nothing
// but holding a lock makes sure of it.
type State struct {
	Name string
	// Holder is the label of who holds it, as given by [WithOwner], or "foreign
	// holder #..." for other libraries; "" if nobody does. Somebody who carries it
	// on less than a majority of the nodes does not hold it.
	Holder string
	// Nodes is how many nodes agree about that, of those that had answered when a
	// majority agreed. Total is how many there are.
	Nodes, Total int
	// TTL is how long the holder has a majority if it does not extend it, with a
	// resolution of a millisecond; 0 if nobody holds it, negative if it is for ever.
	TTL time.Duration
	// Waiting is how many callers stand in line: those of this process, and with
	// [WithFair] those of all.
	Waiting int

	value string // what the holder's keys have
}

// String describes the state in a line.
func (s State) String() string {
	if s.Total == 0 {
		return "unknown"
	}
	text := fmt.Sprintf("nobody holds %q: it is free on %d of %d nodes", s.Name, s.Nodes, s.Total)
	if s.Holder != "" {
		text = fmt.Sprintf("%q is held by %s on %d of %d nodes", s.Name, s.Holder, s.Nodes, s.Total)
		if s.TTL > 0 {
			text += fmt.Sprintf(", for %v if it is not extended", s.TTL)
		} else {
			text += ", for ever: the key has no time to live"
		}
	}
	return text + fmt.Sprintf("; %d wait", s.Waiting)
}

// Inspect asks the nodes who holds the lock called name, without touching it. The
// error matches [ErrNoQuorum] if less than a majority answered within the node
// timeout, or if those that failed decide whether somebody has one, ctx.Err(), or
// [ErrClosed]; then the State is zero and says nothing.
func (l *Locker) Inspect(ctx context.Context, name string) (State, error) {
	return l.inspect(ctx, name, 0)
}

// Waiters returns how many callers stand in line for the lock called name, see
// [State].
func (l *Locker) Waiters(ctx context.Context, name string) (int, error) {
	s, err := l.Inspect(ctx, name)
	return s.Waiting, err
}

// inspect looks at a lock and leaves a mark for so long that somebody watches.
func (l *Locker) inspect(ctx context.Context, name string, mark time.Duration) (State, error) {
	key, err := keyOf(l.config.prefix, name)
	if err != nil {
		return State{}, err
	}
	if err := l.enter(); err != nil {
		return State{}, fmt.Errorf("redlock: inspect %q: %w", name, err)
	}
	agree := func(answers []node.Answer) bool {
		_, nodes := mostly(answers)
		return nodes >= l.group.Majority()
	}
	answers := l.group.Look(ctx, key, l.config.nodeTimeout, mark, agree, l.leave)
	if answers == nil {
		return State{}, interrupted(ctx, "inspect", name, nil)
	}
	return l.state(name, key, answers)
}

// state makes something of what the nodes said.
func (l *Locker) state(name, key string, answers []node.Answer) (State, error) {
	s := State{Name: name, Total: len(answers), Waiting: l.inLine(key)}
	q := &QuorumError{Op: "inspect", Name: name, Needed: l.group.Majority(), Total: len(answers), kind: ErrNoQuorum}
	free := 0
	for i, a := range answers {
		switch a.Status {
		case node.Failed:
			q.addNode(l.group.Name(i), a.Err)
			continue
		case node.Absent:
			free++
		}
		q.Granted++ // it answered
		s.Waiting = max(s.Waiting, int(a.Waiting))
	}
	if q.Granted < q.Needed {
		return State{}, q
	}
	most, nodes := mostly(answers)
	if held := heldMost(answers); nodes < q.Needed && held+s.Total-q.Granted >= q.Needed {
		q.note = fmt.Sprintf("somebody has it on %d of %d nodes, and maybe on those that failed", held, q.Granted)
		q.Granted = held
		return State{}, q
	}
	if !most.held || nodes < q.Needed {
		s.Nodes = free
		return s, nil
	}
	s.Holder, s.Nodes, s.value = holderOf(most.value), nodes, most.value
	var left []time.Duration
	for _, a := range answers {
		if a.Status == node.Taken && a.Holder == most.value {
			if a.TTL < 0 {
				a.TTL = math.MaxInt64
			}
			left = append(left, a.TTL)
		}
	}
	slices.Sort(left)
	if s.TTL = left[len(left)-q.Needed]; s.TTL == math.MaxInt64 {
		s.TTL = -1
	}
	return s, nil
}

// A view is what a node has: a value, or nothing.
type view struct {
	held  bool
	value string
}

// heldMost is on how many nodes the lock is held by whoever holds it on most.
func heldMost(answers []node.Answer) (most int) {
	counts := make(map[string]int)
	for _, a := range answers {
		if a.Status == node.Taken {
			counts[a.Holder]++
			most = max(most, counts[a.Holder])
		}
	}
	return most
}

// mostly returns what most nodes have, and how many.
func mostly(answers []node.Answer) (most view, nodes int) {
	counts := make(map[view]int)
	for _, a := range answers {
		switch a.Status {
		case node.Taken:
			counts[view{true, a.Holder}]++
		case node.Absent:
			counts[view{}]++
		}
	}
	for v, n := range counts {
		if n > nodes {
			most, nodes = v, n
		}
	}
	return most, nodes
}
