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

	lua.AcquireAll:             {"acquire all", acquireAll},
	lua.FencedAcquireAll:       {"acquire all", acquireAll},
	lua.AcquireAllInTurn:       {"acquire all in turn", acquireAllInTurn},
	lua.FencedAcquireAllInTurn: {"acquire all in turn", acquireAllInTurn},
	lua.ExtendAll:              {"extend all", extendAll},
	lua.ExpireAll:              {"expire all", expireAll},
	lua.ReleaseAll:             {"release all", releaseAll},

	lua.AcquireShared:       {"acquire shared", acquireShared},
	lua.AcquireSharedInTurn: {"acquire shared in turn", acquireSharedInTurn},
	lua.ExtendShared:        {"extend shared", extendShared},
	lua.ReleaseShared:       {"release shared", releaseShared},

	lua.AcquireAny:             {"acquire any", acquireAny},
	lua.FencedAcquireAny:       {"acquire any", acquireAny},
	lua.AcquireAnyInTurn:       {"acquire any in turn", acquireAnyInTurn},
	lua.FencedAcquireAnyInTurn: {"acquire any in turn", acquireAnyInTurn},
	lua.ReleaseAny:             {"release any", releaseAny},
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

// readersMark is what held begins with where readers hold a lock.
const readersMark = "rs1:"

// held is what held.lua finds out: the value that holds a lock, or what readers.lua says of readers.
func (s command) held(key string) (held string, found bool) {
	if s.is(key, aText) {
		return s.get(key)
	}
	last, until, _ := s.last(key)
	n := 0
	for _, m := range s.members(key) {
		if ends, _ := s.zscore(key, m); ends > s.micros/1000 {
			n++
		}
	}
	if until <= s.micros/1000 {
		return "", false
	}
	return fmt.Sprintf("%s%d:%s", readersMark, n, last), true
}

func acquire(s command) any {
	key := s.key("lock")
	if held, found := s.held(key); found {
		return held
	}
	s.set(key, s.text("value"), s.number("ttl"))
	return nil
}

func acquireOrFlag(s command) any {
	key := s.key("lock")
	held, found := s.held(key)
	fence := s.fence()
	if found && held != s.text("value") {
		s.leaveFlags(held)
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

// leaveFlags leaves what a waiter leaves where a lock is held: its flag, and where readers hold it what
// keeps new ones out.
func (s command) leaveFlags(held string) {
	if s.key("wait") == "" {
		return
	}
	s.leaveFlag(s.key("wait"), s.text("waiter"), s.number("flagTTL"))
	if intent := s.key("intent"); intent != "" && strings.HasPrefix(held, readersMark) {
		s.set(intent, s.text("waiter"), s.number("flagTTL"))
	}
}

// leaveFlag leaves the waiter flag, for no less than one that is there.
func (s command) leaveFlag(key, value string, ttl int64) { s.set(key, value, max(ttl, s.pttl(key))) }

func extend(s command) any {
	key := s.key("lock")
	held, found := s.held(key)
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
	held, _ := s.held(key)
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
