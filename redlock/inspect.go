package redlock

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
)

// A State is what the nodes say about a lock. It may have changed when you read it: only
// the holder of a lock can be sure of its state.
type State struct {
	Name string
	// Holder is the label of the holder, as given by [WithOwner], or "foreign holder #..."
	// for other libraries; "" if no value is on a majority of the nodes.
	Holder string
	// Readers is how many share the lock ([Locker.RLock]): the largest number that a majority of the
	// nodes have each. They need not be the same readers, and those of attempts that failed count until
	// they are rolled back, so it is an estimate. Holder is one of them then, and Nodes and TTL are those
	// of the set of readers. It is 0 if Holder has the lock alone.
	Readers int
	// Nodes is how many nodes have the holder's value or, without a Holder, on how many
	// the lock is free. The answer of a node is not waited for once a majority agrees.
	// Total is how many nodes there are.
	Nodes, Total int
	// TTL is how long a majority keeps the lock of the holder if it is not extended, in
	// whole milliseconds; 0 if the lock is not held, negative if it never expires.
	TTL time.Duration
	// Blocked is 0 unless the lock is neither held nor free: several values split the
	// nodes, so that none has a majority, and no majority is free. Then Holder is "". A
	// node that failed counts as not free. Blocked is how long that lasts if no key is
	// deleted or extended; negative if it never ends. [Locker.ForceRelease] ends it.
	Blocked time.Duration
	// Unclear is set by [Locker.List] only: the missing answers of nodes that failed could
	// change the result. Then Holder is "", and Nodes is the largest number of the other
	// nodes that have the same value.
	Unclear bool
	// Waiting is the number of waiters in the wait queues of this Locker (see
	// [Locker.Lock]). Waiters of other processes count if they use [WithFair].
	Waiting int

	value string // what the holder's keys have
}

// String describes the state in a line.
func (s State) String() string {
	if s.Total == 0 {
		return "unknown"
	}
	text := fmt.Sprintf("nobody holds %q: it is free on %d of %d nodes", s.Name, s.Nodes, s.Total)
	switch {
	case s.Unclear:
		text = fmt.Sprintf("it is unknown who holds %q: it is held on %d of %d nodes, and maybe on those that failed", s.Name, s.Nodes, s.Total)
	case s.Blocked != 0:
		until := "until a key is deleted: some have no time to live"
		if s.Blocked > 0 {
			until = fmt.Sprintf("for %v", s.Blocked)
		}
		text = fmt.Sprintf("nobody can get %q %s; no holder has a majority, and it is free on %d of %d nodes", s.Name, until, s.Nodes, s.Total)
	case s.Holder != "":
		text = fmt.Sprintf("%q is held by %v on %d of %d nodes", s.Name, Holder{Label: s.Holder, Readers: s.Readers}, s.Nodes, s.Total)
		if s.TTL > 0 {
			text += fmt.Sprintf(", for %v if it is not extended", s.TTL)
		} else {
			text += ", for ever: the key has no time to live"
		}
	}
	return text + fmt.Sprintf("; %d wait", s.Waiting)
}

// Inspect reads the state of the lock called name from the nodes, and changes nothing.
// The error matches [ErrNoQuorum] if less than a majority answered within the node
// timeout, or if the missing answers could make the lock a held one. It matches
// ctx.Err() if ctx ended first, and [ErrClosed] after [Locker.Close]. With an error the
// State is zero.
func (l *Locker) Inspect(ctx context.Context, name string) (State, error) {
	return l.inspect(ctx, name, 0)
}

// A NodeState is what one node says about a lock.
type NodeState struct {
	Node   string // as the pool names it
	Holder string // the label of the client whose key is there, as in [State]; "" if there is none
	// Readers is how many share the lock there, Holder among them; 0 if Holder has it alone.
	Readers int
	// TTL is how long the key lives if it is not extended; 0 if there is none, negative if
	// it never expires.
	TTL time.Duration
	Err error // why nothing is known, a [*NodeError]; nil if the node answered
}

// InspectNodes is like [Locker.Inspect], and also returns what each node says, in the
// order of the pools given to [New]. It waits for the answers of all nodes, for one node
// timeout at most. With an error that matches [ErrNoQuorum] the State is zero and the
// nodes are returned. With every other error the nodes are nil.
func (l *Locker) InspectNodes(ctx context.Context, name string) (State, []NodeState, error) {
	key, answers, err := l.lookAt(ctx, "inspect", name, 0, everyNode)
	if err != nil {
		return State{}, nil, err
	}
	nodes := make([]NodeState, len(answers))
	for i, a := range answers {
		n := &nodes[i]
		switch n.Node = l.group.Name(i); a.Status {
		case node.Taken:
			n.Readers, n.Holder = readersOf(a.Holder)
			n.TTL = a.TTL
		case node.Failed:
			n.Err = &NodeError{Node: n.Node, Err: a.Err}
		}
	}
	s, err := l.state("inspect", name, key, answers)
	return s, nodes, err
}

// Waiters returns the number of waiters for the lock called name, see Waiting of [State].
// Its errors are those of [Locker.Inspect].
func (l *Locker) Waiters(ctx context.Context, name string) (int, error) {
	s, err := l.Inspect(ctx, name)
	return s.Waiting, err
}

// inspect reads a lock, and leaves a waiter flag for so long.
func (l *Locker) inspect(ctx context.Context, name string, mark time.Duration) (State, error) {
	key, answers, err := l.lookAt(ctx, "inspect", name, mark, func(answers []node.Answer) bool {
		_, nodes := fanout.Mostly(answers)
		return nodes >= l.group.Majority()
	})
	if err != nil {
		return State{}, err
	}
	return l.state("inspect", name, key, answers)
}

// everyNode waits for all answers.
func everyNode([]node.Answer) bool { return false }

// lookAt reads a lock on the nodes until enough says so.
func (l *Locker) lookAt(ctx context.Context, op, name string, mark time.Duration, enough func([]node.Answer) bool) (key string, answers []node.Answer, err error) {
	if key, err = keyOf(l.config.prefix, name); err != nil {
		return "", nil, err
	}
	if err := l.enter(); err != nil {
		return "", nil, fmt.Errorf("redlock: %s %q: %w", op, name, err)
	}
	if answers = l.group.Inspect(ctx, key, l.config.nodeTimeout, mark, enough, l.leave); answers == nil {
		return "", nil, interrupted(ctx, op, name, nil)
	}
	return key, answers, nil
}

// state combines the answers of the nodes.
func (l *Locker) state(op, name, key string, answers []node.Answer) (State, error) {
	s := State{Name: name, Total: len(answers), Waiting: l.hub.Waiting(key)}
	q := &QuorumError{Op: op, Name: name, Needed: l.group.Majority(), Total: len(answers), kind: ErrNoQuorum}
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
	most, nodes := fanout.Mostly(answers)
	if held := fanout.HeldMost(answers); nodes < q.Needed && held+s.Total-q.Granted >= q.Needed {
		q.note = fmt.Sprintf("it is held on %d of %d nodes, and maybe on those that failed", held, q.Granted)
		q.Granted = held
		return State{}, q
	}
	if !most.Held || nodes < q.Needed {
		if s.Nodes = free; free < q.Needed {
			s.Blocked = shortest(answers, func(string) bool { return true }, q.Needed-free)
		}
		return s, nil
	}
	s.Readers, s.Holder = holdersIn(answers, most.Value)
	s.Nodes, s.value = nodes, most.Value
	s.TTL = shortest(answers, func(value string) bool { return fanout.ViewOf(value) == most.Value }, nodes-q.Needed+1)
	return s, nil
}

// shortest is how long it takes until n of the keys with such values have expired;
// negative if it is for ever.
func shortest(answers []node.Answer, counts func(value string) bool, n int) time.Duration {
	var left []time.Duration
	for _, a := range answers {
		if a.Status == node.Taken && counts(a.Holder) {
			if a.TTL < 0 {
				a.TTL = math.MaxInt64
			}
			left = append(left, a.TTL)
		}
	}
	slices.Sort(left)
	if left[n-1] == math.MaxInt64 {
		return -1
	}
	return left[n-1]
}
