package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// The meaning of the lock's scripts (internal/node/lua), line for line. A change of
// one of them is made here, too. TestTheModelAnswersAsAServerDoes compares both. Only the
// names of keys and arguments are those of the scripts' specs.

// A command is one script with what it is called with.
type command struct {
	*store
	call     lua.Call
	micros   int64                         // the server's TIME
	publish  func(channel, message string) // PUBLISH
	readOnly bool                          // writes are refused
}

// key is the key of that name, "" if it was not given.
func (s command) key(name string) string { return s.call.Key(name) }

// text and number are the argument of that name, as what it is meant for.
func (s command) text(name string) string  { return text(s.call.Arg(name)) }
func (s command) number(name string) int64 { return number(s.call.Arg(name)) }

// given reports whether there is an argument of that name.
func (s command) given(name string) bool { return s.call.Arg(name) != nil }

// wake is the channel of the waiters.
func (s command) wake() string { return strings.TrimSuffix(s.key("wait"), "wait") + "wake" }

// A model is what a script does, carried out on a store.
type model struct {
	name string
	run  func(s command) any
}

var models = map[lua.Script]model{
	lua.Acquire:             {"acquire", acquire},
	lua.AcquireOrFlag:       {"acquire or flag", acquireOrFlag},
	lua.FencedAcquireOrFlag: {"acquire or flag", acquireOrFlag},
	lua.AcquireInTurn:       {"acquire in turn", acquireInTurn},
	lua.FencedAcquireInTurn: {"acquire in turn", acquireInTurn},
	lua.Extend:              {"extend", extend},
	lua.Release:             {"release", release},
	lua.Inspect:             {"inspect", inspect},
	lua.Short:               {"short", short},
	lua.Read:                {"read", readValue},
	lua.ReadLed:             {"read leader", readLed},
	lua.Publish:             {"publish", publishValue},
	lua.PublishHeld:         {"publish as holder", publishHeld},
}

// A known script is one whose text was read before: there are few, and they are long.
type knownScript struct {
	lua.Known
	text string
}

var knownScripts sync.Map // by text, and by hash

// read returns which script a text is.
func read(text string) knownScript {
	if k, ok := knownScripts.Load(text); ok {
		return k.(knownScript)
	}
	known, ok := lua.Find(text)
	if _, modelled := models[known.Script]; !ok || !modelled {
		panic("there is no model of this script:\n" + text)
	}
	k := knownScript{known, text}
	knownScripts.Store(text, k)
	knownScripts.Store(k.SHA, k)
	return k
}

// loaded returns the script with a hash, if its text was read before.
func loaded(hash string) (k knownScript, ok bool) {
	known, ok := knownScripts.Load(hash)
	if ok {
		k = known.(knownScript)
	}
	return k, ok
}

func text(arg any) string {
	if n, ok := arg.(int64); ok {
		return strconv.FormatInt(n, 10)
	}
	return arg.(string)
}

func number(arg any) int64 {
	if s, ok := arg.(string); ok {
		n, _ := strconv.ParseInt(s, 10, 64)
		return n
	}
	return arg.(int64)
}

func acquire(s command) any {
	key := s.key("lock")
	if held, found := s.get(key); found {
		return held
	}
	s.set(key, s.text("value"), s.number("ttl"))
	return nil
}

func acquireOrFlag(s command) any {
	key := s.key("lock")
	held, found := s.get(key)
	fence := s.fence()
	if found && held != s.text("value") && s.key("wait") != "" {
		s.leaveFlag(s.key("wait"), s.text("waiter"), s.number("flagTTL"))
	}
	switch {
	case found:
		return fence.onto(held, s.pttl(key))
	case fence.refusal != 0:
		return fence.onto("", fence.refusal)
	}
	fence.remember()
	s.set(key, s.text("value"), s.number("ttl"))
	return fence.granted
}

// leaveFlag leaves the waiter flag, for no less than one that is there.
func (s command) leaveFlag(key, value string, ttl int64) { s.set(key, value, max(ttl, s.pttl(key))) }

func extend(s command) any {
	key := s.key("lock")
	held, found := s.get(key)
	switch {
	case !found:
		return int64(0)
	case held != s.text("value"):
		return held
	}
	s.pexpire(key, s.number("ttl"))
	return int64(1)
}

func inspect(s command) any {
	key := s.key("lock")
	held, _ := s.get(key)
	left := s.pttl(key)
	flag, queue, lease := s.key("wait"), s.key("queue"), s.key("lease")
	if ttl := s.number("flagTTL"); ttl != 0 {
		s.watchFlag(flag, ttl)
	}
	var waiting int64
	for _, name := range s.members(queue) {
		kept, _ := s.hget(lease, name)
		if until, count, ok := parseLease(kept); ok && until > s.micros/1000 {
			waiting += count
		}
	}
	return []any{held, left, waiting}
}

// parseLease reads "until when a position counts, and how many callers wait under it".
func parseLease(kept string) (until, count int64, ok bool) {
	first, second, ok := strings.Cut(kept, " ")
	if !ok {
		return 0, 0, false
	}
	until, err1 := strconv.ParseInt(first, 10, 64)
	count, err2 := strconv.ParseInt(second, 10, 64)
	return until, count, err1 == nil && err2 == nil && count >= 0 // the pattern has no sign
}

func release(s command) any {
	key := s.key("lock")
	held, found := s.get(key)
	ours := found && held == s.text("value")
	if ours {
		s.del(key)
	} else if !s.given("ticket") {
		return int64(0)
	}
	deleted := int64(0)
	if ours {
		deleted = 1
	}
	if !s.given("releaser") {
		return deleted
	}
	self, queue, lease := s.text("releaser"), s.key("queue"), s.key("lease")
	if s.given("requeue") {
		if left := s.pttl(lease); ours && left > 0 {
			if _, there := s.hget(lease, self); there {
				s.zadd(queue, s.number("ticket"), self)
				s.pexpire(queue, left)
			}
		}
		return deleted
	}
	if s.given("ticket") {
		if position, there := s.zscore(queue, self); !there || position <= s.number("ticket") {
			s.zrem(queue, self)
			s.hdel(lease, self)
		}
		if found && !ours {
			return int64(0)
		}
		if s.find(queue) == nil {
			s.del(lease)
		}
	}
	flag, flagged := s.get(s.key("wait"))
	if !flagged {
		return deleted
	}
	wake := s.wake()
	first, _, queued := s.first(queue) // of no queue, if it was not given
	if !queued {
		first, queued = strings.CutSuffix(flag, ".")
	}
	switch {
	case queued:
		s.publish(wake, first)
		s.publish(wake+":"+first, first)
		if ours && first != self {
			return first
		}
	case flag == "*" || strings.HasPrefix(flag, self+"."):
		s.publish(wake, "")
	default:
		s.publish(wake, flag)
		if ours {
			return flag
		}
	}
	return deleted
}

// short is release without notifying waiters.
func short(s command) any {
	key := s.key("lock")
	held, found := s.get(key)
	if !found || held != s.text("value") {
		return int64(0)
	}
	s.del(key)
	return int64(1)
}

func acquireInTurn(s command) any {
	key := s.key("lock")
	flag, queue, lease, me := s.key("wait"), s.key("queue"), s.key("lease"), s.text("waiter")
	now := s.micros / 1000
	flagTTL, ticket, next, largest := s.number("flagTTL"), s.number("ticket"), s.number("next"), s.number("last")
	kept, count := s.number("positionTTL"), s.number("count")

	said, _ := s.hget(lease, "last")
	last, _ := strconv.ParseInt(said, 10, 64)
	held, found := s.get(key)
	again := found && held == s.text("value")
	if largest > last {
		last = largest
		if !again {
			s.hset(lease, "last", strconv.FormatInt(last, 10))
		}
	}
	fence := s.fence()
	if again {
		return fence.onto(held, s.pttl(key), last, int64(0))
	}
	var granted any = last
	if fence.on {
		granted = []any{last, fence.granted}
	}
	if ticket != 0 {
		s.zadd(queue, ticket, me)
		s.hset(lease, me, fmt.Sprintf("%d %d", now+kept, count))
	}
	for _, side := range []string{queue, lease} {
		if s.pttl(side) < 2*kept {
			s.pexpire(side, 2*kept)
		}
	}
	first, at, waiting := s.first(queue)
	leaveFlag := func() {
		if name := first; flagTTL != 0 {
			if !waiting {
				name = me
			}
			s.leaveFlag(flag, name+".", flagTTL)
		}
	}

	mine := func() bool { return ticket != 0 && first == me }
	for waiting && !mine() {
		position, _ := s.hget(lease, first)
		until, _, _ := strings.Cut(position, " ")
		if end, err := strconv.ParseInt(until, 10, 64); err == nil && end > now {
			break
		}
		s.zrem(queue, first)
		s.hdel(lease, first)
		first, at, waiting = s.first(queue)
	}

	if !waiting {
		at = 0
	}
	if found || waiting && !mine() {
		leaveFlag()
		return fence.onto(held, s.pttl(key), last, at)
	}
	if fence.refusal != 0 {
		return fence.onto("", fence.refusal, last, at)
	}
	if ticket != 0 && next != 0 {
		s.zadd(queue, next, me)
		s.hset(lease, me, fmt.Sprintf("%d %d", now+kept, count-1))
		leaveFlag()
	} else if ticket != 0 {
		s.zrem(queue, me)
	}
	fence.remember()
	s.set(key, s.text("value"), s.number("ttl"))
	return granted
}
