package redlock

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
)

// MaxListed is how many locks [Locker.List] returns at most.
const MaxListed = 100_000

// ErrTooMany: more than [MaxListed] names begin with the prefix of a [Locker.List].
var ErrTooMany = errors.New("too many locks")

// A Listing is what [Locker.List] found.
type Listing struct {
	// Locks are the locks in the order of their names. Holder is "" for a lock without a
	// majority, as in [State].
	Locks []State
	// Failed are the nodes that did not answer all questions, each with the reason; nil if
	// all did. Their keys are not in Locks.
	Failed []*NodeError
}

// List returns the locks whose names begin with prefix. Neither prefix nor the names
// include the Locker's own [WithPrefix]. An empty prefix means all locks of this Locker.
// Each State has the holder, the TTL, the number of nodes and the number of waiters, by
// the rules of [Locker.Inspect]. A lock that is taken or released during the call may be
// in the result or not.
//
// A lock is a string under a key that has the form of a value of this library, or, if
// the key has a time to live, of another one: 22 letters or digits (redislock,
// redlock-py), 24 characters of base64 (redsync), 32 or 40 hex digits, or a UUID. So is
// a sorted set of the readers of this library ([Locker.RLock]). Other data with the same
// prefix is left out, and its values stay on the server.
//
// List walks over all keys of every node with SCAN, in steps of about a millisecond, so a
// node serves other clients in between. The time depends on all keys of the database:
// about a second for a million. All nodes are asked at the same time. A node fails if it
// does not answer a step within the longer of the node timeout and 250 ms. A second List
// of the Locker waits until the first has ended.
//
// There are at most [MaxListed] locks. If there are more, the error matches [ErrTooMany],
// and there is no result: names that are missing on one node would make locks on others
// look lost. Use a longer prefix then. The result is a slice and no iterator, since every
// node returns its names in an order of its own.
//
// The error matches [ErrNoQuorum] if less than a majority answered all questions,
// ctx.Err() if ctx ended first, ErrTooMany, or [ErrClosed]. Then the Listing is zero. A
// user needs more rights than for locks: SCAN and GETRANGE, and those on "{key}:queue"
// and "{key}:lease". The servers must allow scripts.
func (l *Locker) List(ctx context.Context, prefix string) (Listing, error) {
	failed := func(err error) error { return fmt.Errorf("redlock: list %q: %w", prefix, err) }
	select {
	case l.listing <- struct{}{}: // one after the other: see [node.Node.List]
		defer func() { <-l.listing }()
	case <-l.closing:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return Listing{}, interrupted(ctx, "list", prefix, nil)
	}
	if err := l.enter(); err != nil {
		return Listing{}, failed(err)
	}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with asking
		select {
		case <-l.closing:
			stop()
		case <-asking.Done():
		}
	}()
	listed := l.group.List(asking, node.Listing{
		Prefix: l.config.prefix + prefix, Patience: max(l.config.nodeTimeout, minPatience), Most: MaxListed, Lock: isLockValue,
	}, l.leave)
	switch {
	case ctx.Err() != nil:
		return Listing{}, interrupted(ctx, "list", prefix, nil)
	case l.isClosed():
		return Listing{}, failed(ErrClosed)
	}

	var found Listing
	q := &QuorumError{Op: "list", Name: prefix, Needed: l.group.Majority(), Total: len(listed), kind: ErrNoQuorum}
	for i, on := range listed {
		switch {
		case errors.Is(on.Err, node.ErrTooMany):
			return Listing{}, failed(tooMany(prefix))
		case on.Err != nil:
			q.addNode(l.group.Name(i), on.Err)
			found.Failed = append(found.Failed, &NodeError{Node: l.group.Name(i), Err: on.Err})
		default:
			q.Granted++
		}
	}
	if q.Granted < q.Needed {
		return Listing{}, q
	}
	names := make(map[string]struct{})
	for _, on := range listed {
		for key := range on.Locks {
			names[key] = struct{}{}
		}
	}
	if len(names) > MaxListed {
		return Listing{}, failed(tooMany(prefix))
	}
	answers := make([]node.Answer, len(listed))
	found.Locks = make([]State, 0, len(names))
	for _, key := range slices.Sorted(maps.Keys(names)) {
		for i, on := range listed {
			answer, held := on.Locks[key]
			switch {
			case on.Err != nil:
				answer = node.Answer{Err: on.Err}
			case !held:
				answer = node.Answer{Status: node.Absent}
			}
			answers[i] = answer
		}
		name := strings.TrimPrefix(key, l.config.prefix)
		if name == "" {
			continue
		}
		s, err := l.state("list", name, key, answers)
		if err != nil { // the nodes that failed decide
			s = State{Name: name, Nodes: fanout.HeldMost(answers), Total: len(answers), Waiting: l.hub.Waiting(key), Unclear: true}
		}
		found.Locks = append(found.Locks, s)
	}
	return found, nil
}

func tooMany(prefix string) error {
	return fmt.Errorf("%w: more than %d names begin so: ask for a longer prefix than %q", ErrTooMany, MaxListed, prefix)
}

// token matches the random values of other libraries, each as a whole.
var token = regexp.MustCompile(`^([A-Za-z0-9_-]{22}|[A-Za-z0-9+/]{22}==|[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$`)

// isLockValue reports whether a value is that of a lock, as far as its form tells.
func isLockValue(value string) bool {
	_, _, shared := node.Readers(value)
	return shared || strings.HasPrefix(value, valuePrefix) || token.MatchString(value)
}
