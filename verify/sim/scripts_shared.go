package main

import (
	"strings"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// The scripts about readers.

// A sharing is what shared.lua finds out about a lock that the caller reads, or is to read.
type sharing struct {
	command
	lock  string // the key
	held  string // this value if it is a reader, or the only holder; a value that is the only holder; or ""
	alone bool   // the key, if there is one, is not that of readers
	now   int64
}

func (s command) shared() sharing {
	h := sharing{command: s, lock: s.key("lock"), now: s.micros / 1000}
	if h.alone = !s.is(h.lock, aSortedSet); h.alone {
		h.held, _ = s.get(h.lock)
	} else if ends, there := s.zscore(h.lock, s.text("value")); there && ends > h.now {
		h.held = s.text("value")
	}
	return h
}

// mine reports whether the caller holds the lock.
func (h sharing) mine() bool { return h.held == h.text("value") }

// join makes the caller a reader.
func (h sharing) join() {
	h.zadd(h.lock, h.now+h.number("ttl"), h.text("value"))
	_, ends, _ := h.last(h.lock)
	h.pexpireat(h.lock, ends)
}

// largest is the largest fencing token that was taken here.
func (h sharing) largest() string {
	if largest, found := h.get(h.key("fence")); found && h.number("fencing") == 1 {
		return largest
	}
	return "0"
}

// keptOut reports whether a writer waits that lets no new readers in.
func (h sharing) keptOut() bool { return h.find(h.key("intent")) != nil }

func acquireShared(s command) any {
	h := s.shared()
	largest := h.largest()
	switch {
	case h.held != "":
		if !h.mine() {
			s.leaveFlags(h.held)
		}
		return []any{h.held, s.pttl(h.lock), largest}
	case h.keptOut():
		if wait := s.key("wait"); wait != "" {
			s.leaveFlag(wait, s.text("waiter"), s.number("flagTTL"))
		}
		return []any{"", int64(lua.Free), largest}
	}
	s.zdrop(h.lock, h.now)
	h.join()
	return []any{"", int64(lua.Joined), largest}
}

func acquireSharedInTurn(s command) any {
	h := s.shared()
	turn := s.queue(h.held)
	largest := h.largest()
	switch {
	case h.mine():
		return []any{h.held, s.pttl(h.lock), turn.last, turn.at, largest}
	case h.held != "":
		turn.leaveFlag()
		return []any{h.held, s.pttl(h.lock), turn.last, turn.at, largest}
	case !turn.first || h.keptOut():
		turn.leaveFlag()
		return []any{"", int64(lua.Free), turn.last, turn.at, largest}
	}
	turn.pass()
	s.zdrop(h.lock, h.now)
	h.join()
	if next, _, found := s.first(s.key("queue")); found && next != turn.me && isReader(next) {
		s.publish(s.wake()+":"+next, next)
	}
	return []any{"", int64(lua.Joined), turn.last, turn.at, largest}
}

func extendShared(s command) any {
	h := s.shared()
	switch {
	case h.held == "":
		return int64(0)
	case !h.mine():
		return h.held
	}
	if h.alone {
		s.del(h.lock)
		s.del(s.key("intent"))
	}
	h.join()
	flag, flagged := s.get(s.key("wait"))
	if !h.alone || !flagged {
		return int64(1)
	}
	first, queued := strings.CutSuffix(flag, ".")
	if !queued {
		first = ""
	}
	s.publish(s.wake(), first)
	if queued {
		s.publish(s.wake()+":"+first, first)
	}
	return int64(1)
}

func releaseShared(s command) any {
	h := s.shared()
	if !h.mine() && !s.given("ticket") {
		return int64(0)
	}
	return s.released(h.mine(), h.leave())
}

// leave gives the lock up if the caller holds it, and reports whether it is free then.
func (h sharing) leave() (free bool) {
	switch {
	case h.alone && !h.mine():
		return false
	case !h.alone:
		h.zrem(h.lock, h.text("value"))
		if _, ends, some := h.last(h.lock); some && ends > h.now {
			h.pexpireat(h.lock, ends)
			return false
		}
	}
	h.del(h.lock)
	return true
}
