package main

import (
	"strings"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// A record is what record.lua finds out about a published value.
type record struct {
	begins string // with its version, which is most of it; "" if there is none
	extra  int64
	left   int64 // how long the key lives, as PTTL says it
	text   string
}

func (s command) record() record {
	kept, found := s.get(s.key("value"))
	if !found {
		return record{left: s.pttl(s.key("value"))}
	}
	if len(kept) < lua.HeaderLength {
		panic("what is under a name that ends with :value is no published value: " + kept)
	}
	r := record{begins: kept[:lua.HeaderLength], left: s.pttl(s.key("value"))}
	var ok bool
	if _, _, _, r.extra, ok = lua.ReadHeader(r.begins); !ok {
		panic("what is under a name that ends with :value is no published value: " + kept)
	}
	if r.left == -1 || r.left > r.extra {
		r.text = kept[lua.HeaderLength:]
	}
	return r
}

// remains is how long the text lives, negative if for ever, 0 if it has expired.
func (r record) remains() int64 {
	if r.left == -1 {
		return -1
	}
	return max(r.left-r.extra, 0)
}

// version is that of a value, to be compared as a text, by what the value begins with.
func versionIn(begins string) string { return begins[:len(begins)/4*3] }

func readValue(s command) any {
	r := s.record()
	return []any{r.begins, r.left, r.text, s.micros}
}

func readLed(s command) any {
	held, _ := s.held(s.key("lock"))
	left := s.pttl(s.key("lock"))
	r := s.record()
	if ttl := s.number("flagTTL"); ttl != 0 && !s.readOnly {
		s.watchFlag(s.key("wait"), ttl)
	}
	return []any{held, left, r.begins, r.left, r.text, s.micros}
}

// watchFlag leaves the flag of a watcher, and lets one that is there live as long.
func (s command) watchFlag(flag string, ttl int64) {
	switch left := s.pttl(flag); {
	case left == -2:
		s.set(flag, "*", ttl)
	case left >= 0 && left < ttl:
		s.pexpire(flag, ttl)
	}
}

func publishHeld(s command) any {
	if held, found := s.held(s.key("lock")); !found || held != s.text("value") {
		return int64(lua.NotHeld)
	}
	return publishValue(s)
}

func publishValue(s command) any {
	before, mine := s.record(), s.text("record")
	order := strings.Compare(versionIn(mine[:lua.HeaderLength]), versionIn(before.begins))
	key, kept := s.key("value"), s.number("kept")
	_, _, _, extra, _ := lua.ReadHeader(mine[:lua.HeaderLength])
	if order > 0 || order == 0 && before.left >= 0 && (kept == 0 || kept-extra > before.remains()) {
		s.set(key, mine, kept)
		if kept == 0 {
			s.store.keys[key].ends = 0
		}
	}
	if order > 0 {
		s.publish(key[:strings.LastIndexByte(key, ':')]+":news", mine[:lua.HeaderLength/2])
	}
	switch {
	case order >= 0:
		return int64(1)
	case s.number("former") == 1:
		return []any{before.begins, before.left, before.text}
	}
	return []any{before.begins, int64(0), ""}
}
