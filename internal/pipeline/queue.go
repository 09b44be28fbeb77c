package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A call is one submitted command.
type call struct {
	ctx      context.Context
	receiver pool.Receiver
	args     []any
	size     int
}

// fail calls the receiver with an error. If the context has ended, the error matches that as
// well.
func (c call) fail(err error) {
	if over := ended(c.ctx); over != nil && !errors.Is(err, over) {
		err = fmt.Errorf("%w: %w", over, err)
	}
	c.receiver.Receive(nil, err)
}

func fail(calls []call, err error) {
	for i := range calls {
		calls[i].fail(err)
	}
}

// A queue is a list of calls, the oldest first. It reuses its memory.
type queue struct {
	calls []call
	first int
}

func (q *queue) len() int { return len(q.calls) - q.first }

func (q *queue) push(c call) {
	if q.first > 0 && len(q.calls) == cap(q.calls) && q.first >= len(q.calls)/2 {
		n := copy(q.calls, q.calls[q.first:])
		clear(q.calls[n:])
		q.calls, q.first = q.calls[:n], 0
	}
	q.calls = append(q.calls, c)
}

func (q *queue) pop() call {
	c := q.calls[q.first]
	q.calls[q.first] = call{}
	if q.first++; q.first == len(q.calls) {
		q.calls, q.first = q.calls[:0], 0
	}
	return c
}

// drain takes out all calls.
func (q *queue) drain() []call {
	calls := q.calls[q.first:]
	*q = queue{}
	return calls
}

// earliest is the earliest deadline of all calls, if any has one.
func (q *queue) earliest() (first time.Time, ok bool) {
	for _, c := range q.calls[q.first:] {
		if at, bounded := c.ctx.Deadline(); bounded && (!ok || at.Before(first)) {
			first, ok = at, true
		}
	}
	return first, ok
}

// has reports whether a call of r is in it.
func (q *queue) has(r pool.Receiver) bool {
	return slices.ContainsFunc(q.calls[q.first:], func(c call) bool { return c.receiver == r })
}

// expire takes out the calls whose deadline has come.
func (q *queue) expire(now time.Time) (late []call) {
	left := q.calls[:q.first]
	for _, c := range q.calls[q.first:] {
		if at, ok := c.ctx.Deadline(); ok && !now.Before(at) {
			late = append(late, c)
		} else {
			left = append(left, c)
		}
	}
	q.keep(left)
	return late
}

// remove takes out the call of r.
func (q *queue) remove(r pool.Receiver) bool {
	before := q.len()
	left := q.calls[:q.first]
	for _, c := range q.calls[q.first:] {
		if c.receiver != r {
			left = append(left, c)
		}
	}
	q.keep(left)
	return q.len() < before
}

func (q *queue) keep(left []call) {
	clear(q.calls[len(left):])
	q.calls = left
	if q.first == len(q.calls) {
		q.calls, q.first = q.calls[:0], 0
	}
}
