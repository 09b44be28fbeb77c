package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A turn is what queue.lua finds out about the wait queue of a lock.
type turn struct {
	command
	me, head string // waiter ids: of the caller, and of the first in the queue, "" if there is none
	ticket   int64  // of the caller, 0 if it has none
	at       int64  // the ticket of the first
	last     int64  // the largest that was seen
	first    bool   // no other waiter comes first
}

// queue takes a position in the wait queue, and says which waiter comes first there. It changes nothing if
// the lock is held by the caller.
func (s command) queue(held string) *turn {
	t := &turn{command: s, me: s.text("waiter"), ticket: s.number("ticket"), first: true}
	queue, lease := s.key("queue"), s.key("lease")
	again := held == s.text("value")
	said, _ := s.hget(lease, "last")
	t.last, _ = strconv.ParseInt(said, 10, 64)
	if largest := s.number("last"); largest > t.last {
		t.last = largest
		if !again {
			s.hset(lease, "last", strconv.FormatInt(largest, 10))
		}
	}
	if again {
		return t
	}
	if t.ticket != 0 {
		s.zadd(queue, t.ticket, t.me)
		t.keep(s.number("count"))
	}
	for _, side := range []string{queue, lease} {
		if twice := 2 * s.number("positionTTL"); s.pttl(side) < twice {
			s.pexpire(side, twice)
		}
	}
	rank, reads := 0, isReader(t.me)
	for t.look(rank); t.head != "" && !(t.ticket != 0 && t.head == t.me); t.look(rank) {
		position, _ := s.hget(lease, t.head)
		until, _, _ := strings.Cut(position, " ")
		if end, err := strconv.ParseInt(until, 10, 64); err == nil && end > s.micros/1000 {
			if !reads || !isReader(t.head) {
				t.first = false
				break
			}
			rank++ // readers do not keep each other out
			continue
		}
		s.zrem(queue, t.head)
		s.hdel(lease, t.head)
	}
	return t
}

// isReader reports whether a waiter is to read.
func isReader(waiterID string) bool { return strings.HasSuffix(waiterID, "-r") }

// look notes the waiter at an index of the queue.
func (t *turn) look(rank int) {
	t.head, t.at = "", 0
	if all := t.members(t.key("queue")); rank < len(all) {
		t.head = all[rank]
		t.at, _ = t.zscore(t.key("queue"), t.head)
	}
}

// keep notes until when the position counts, and for how many callers.
func (t *turn) keep(callers int64) {
	t.hset(t.key("lease"), t.me, fmt.Sprintf("%d %d", t.micros/1000+t.number("positionTTL"), callers))
}

// leaveFlag leaves the waiter flag, with the first in the queue.
func (t *turn) leaveFlag() {
	name := t.head
	if name == "" {
		name = t.me
	}
	if ttl := t.number("flagTTL"); ttl != 0 {
		t.command.leaveFlag(t.key("wait"), name+".", ttl)
	}
}

// pass gives the position to the next caller, or up.
func (t *turn) pass() {
	switch next := t.number("next"); {
	case t.ticket == 0:
	case next != 0:
		t.zadd(t.key("queue"), next, t.me)
		t.keep(t.number("count") - 1)
		t.leaveFlag()
	default:
		t.zrem(t.key("queue"), t.me)
	}
}

// granted is the reply when the lock was taken.
func (f fence) grantedInTurn(last int64) any {
	if f.on {
		return []any{last, f.granted}
	}
	return last
}

func acquireInTurn(s command) any {
	key := s.key("lock")
	held, found := s.held(key)
	fence, turn := s.fence(), s.queue(held)
	switch {
	case found || !turn.first:
		if held != s.text("value") {
			turn.leaveFlag()
		}
		return fence.onto(held, s.pttl(key), turn.last, turn.at)
	case fence.refusal != 0:
		return fence.onto("", fence.refusal, turn.last, turn.at)
	}
	turn.pass()
	fence.remember()
	s.set(key, s.text("value"), s.number("ttl"))
	return fence.grantedInTurn(turn.last)
}
