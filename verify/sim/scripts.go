package main

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// The meaning of the lock's scripts (internal/node/lua), line for line: whoever changes
// one of them changes it here, too. TestTheModelAnswersAsAServerDoes compares both.

// A command is one script with what it is called with.
type command struct {
	*store
	keys, argv []any
	sides      sides
	micros     int64                         // the server's TIME
	publish    func(channel, message string) // PUBLISH
	readOnly   bool                          // writes are refused
}

// sides are the keys that belong to a lock, "" for those that were not given.
type sides struct{ fence, wait, queue, lease string }

// sidesOf reads them from the keys of a script, where they have their order.
func (k knownScript) sidesOf(keys []any) (s sides) {
	keys = keys[1:]
	if k.guard != nil {
		keys = keys[2:] // the marker and the quarantine
	}
	into := []*string{&s.wait, &s.queue, &s.lease}
	if k.fenced {
		into = append([]*string{&s.fence}, into...)
	}
	for i, key := range keys {
		*into[i] = text(key)
	}
	return s
}

// wake is the channel on which those who wait are told.
func (s sides) wake() string { return strings.TrimSuffix(s.wait, "wait") + "wake" }

// A script is carried out on a store.
type script func(s command, key string, argv []any) any

var scripts = map[string]script{
	"acquire": acquire,
	"wait":    wait,
	"turn":    turn,
	"extend":  extend,
	"release": release,
	"inspect": inspect,
	"short":   short,
}

// called tells the scripts apart by what only they say.
func called(text string) string {
	switch {
	case strings.Contains(text, "leaveMark"):
		return "turn"
	case strings.Contains(text, "'NX'"):
		return "inspect"
	case strings.Contains(text, "PUBLISH"):
		return "release"
	case strings.Contains(text, "PEXPIRE"):
		return "extend"
	case strings.Contains(text, "refusal"):
		return "wait"
	case strings.Contains(text, `redis.call("del"`):
		return "short"
	}
	return "acquire"
}

// A known script is one whose text was read before: there are few, and they are long.
type knownScript struct {
	text, hash, name string

	guard  *guard // nil if it is not guarded
	fenced bool   // it takes a fencing token
}

var knownScripts sync.Map // by text

// read returns what a text is, with its hash, which is what EVALSHA asks for.
func read(text string) knownScript {
	if k, ok := knownScripts.Load(text); ok {
		return k.(knownScript)
	}
	sum := sha1.Sum([]byte(text))
	k := knownScript{text, hex.EncodeToString(sum[:]), called(text), guardOf(text), strings.Contains(text, "'again'")}
	knownScripts.Store(text, k)
	return k
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

func acquire(s command, key string, argv []any) any {
	if held, found := s.get(key); found {
		return held
	}
	s.set(key, text(argv[0]), number(argv[1]))
	return nil
}

func wait(s command, key string, argv []any) any {
	held, found := s.get(key)
	fence := s.fence()
	if found && held != argv[0] && s.sides.wait != "" {
		s.mark(s.sides.wait, text(argv[2]), number(argv[3]))
	}
	switch {
	case found:
		return fence.onto(held, s.pttl(key))
	case fence.refusal != 0:
		return fence.onto("", fence.refusal)
	}
	fence.remember()
	s.set(key, text(argv[0]), number(argv[1]))
	return fence.granted
}

// mark leaves a mark, for no less than the one that is there.
func (s command) mark(key, value string, ttl int64) { s.set(key, value, max(ttl, s.pttl(key))) }

func extend(s command, key string, argv []any) any {
	held, found := s.get(key)
	switch {
	case !found:
		return int64(0)
	case held != argv[0]:
		return held
	}
	s.pexpire(key, number(argv[1]))
	return int64(1)
}

func inspect(s command, key string, argv []any) any {
	held, _ := s.get(key)
	left := s.pttl(key)
	mark, queue, lease := s.sides.wait, s.sides.queue, s.sides.lease
	if ttl := number(argv[0]); ttl != 0 {
		switch left := s.pttl(mark); {
		case left == -2:
			s.set(mark, "*", ttl)
		case left >= 0 && left < ttl:
			s.pexpire(mark, ttl)
		}
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

// parseLease reads "until when a place counts, and how many wait under it".
func parseLease(kept string) (until, count int64, ok bool) {
	first, second, ok := strings.Cut(kept, " ")
	if !ok {
		return 0, 0, false
	}
	until, err1 := strconv.ParseInt(first, 10, 64)
	count, err2 := strconv.ParseInt(second, 10, 64)
	return until, count, err1 == nil && err2 == nil && count >= 0 // the pattern has no sign
}

func release(s command, key string, argv []any) any {
	held, found := s.get(key)
	ours := found && held == argv[0]
	if ours {
		s.del(key)
	} else if len(argv) < 3 {
		return int64(0)
	}
	deleted := int64(0)
	if ours {
		deleted = 1
	}
	if len(argv) < 2 {
		return deleted
	}
	self, queue, lease := text(argv[1]), s.sides.queue, s.sides.lease
	if len(argv) > 3 {
		if left := s.pttl(lease); ours && left > 0 {
			if _, there := s.hget(lease, self); there {
				s.zadd(queue, number(argv[2]), self)
				s.pexpire(queue, left)
			}
		}
		return deleted
	}
	if len(argv) > 2 {
		if place, there := s.zscore(queue, self); !there || place <= number(argv[2]) {
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
	waits, marked := s.get(s.sides.wait)
	if !marked {
		return deleted
	}
	wake := s.sides.wake()
	first, _, inLine := s.first(queue) // of no line, if it was not given
	if !inLine {
		first, inLine = strings.CutSuffix(waits, ".")
	}
	switch {
	case inLine:
		s.publish(wake, first)
		s.publish(wake+":"+first, first)
		if ours && first != self {
			return first
		}
	case waits == "*" || strings.HasPrefix(waits, self+"."):
		s.publish(wake, "")
	default:
		s.publish(wake, waits)
		if ours {
			return waits
		}
	}
	return deleted
}

// short is release without telling anybody.
func short(s command, key string, argv []any) any {
	held, found := s.get(key)
	if !found || held != argv[0] {
		return int64(0)
	}
	s.del(key)
	return int64(1)
}

func turn(s command, key string, argv []any) any {
	mark, queue, lease, me := s.sides.wait, s.sides.queue, s.sides.lease, text(argv[2])
	now := s.micros / 1000
	markTTL, ticket, next, largest, kept := number(argv[3]), number(argv[4]), number(argv[5]), number(argv[6]), number(argv[7])
	count := number(argv[8])

	said, _ := s.hget(lease, "last")
	last, _ := strconv.ParseInt(said, 10, 64)
	held, found := s.get(key)
	again := found && held == argv[0]
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
	first, at, somebody := s.first(queue)
	leaveMark := func() {
		if name := first; markTTL != 0 {
			if !somebody {
				name = me
			}
			s.mark(mark, name+".", markTTL)
		}
	}

	mine := func() bool { return ticket != 0 && first == me }
	for somebody && !mine() {
		place, _ := s.hget(lease, first)
		until, _, _ := strings.Cut(place, " ")
		if end, err := strconv.ParseInt(until, 10, 64); err == nil && end > now {
			break
		}
		s.zrem(queue, first)
		s.hdel(lease, first)
		first, at, somebody = s.first(queue)
	}

	if !somebody {
		at = 0
	}
	if found || somebody && !mine() {
		leaveMark()
		return fence.onto(held, s.pttl(key), last, at)
	}
	if fence.refusal != 0 {
		return fence.onto("", fence.refusal, last, at)
	}
	if ticket != 0 && next != 0 {
		s.zadd(queue, next, me)
		s.hset(lease, me, fmt.Sprintf("%d %d", now+kept, count-1))
		leaveMark()
	} else if ticket != 0 {
		s.zrem(queue, me)
	}
	fence.remember()
	s.set(key, text(argv[0]), number(argv[1]))
	return granted
}
