package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// A record is what record.lua finds out about a published value.
type record struct {
	term, seq, writer int64
	remains           int64 // how long the text lives, negative if for ever, 0 if it has expired
	text              string
}

var header = regexp.MustCompile(`^(\d+) (\d+) (\d+) (\d+) `)

func (s command) record() record {
	kept, found := s.get(s.key("value"))
	if !found {
		return record{}
	}
	parts := header.FindStringSubmatch(kept)
	if parts == nil {
		panic("what is under a name that ends with :value is no published value: " + kept)
	}
	var n [4]int64
	for i := range n {
		n[i], _ = strconv.ParseInt(parts[1+i], 10, 64)
	}
	r := record{n[0], n[1], n[2], -1, kept[len(parts[0]):]}
	if left := s.pttl(s.key("value")); left != -1 {
		r.remains = max(left-n[3], 0)
	}
	if r.remains == 0 {
		r.text = ""
	}
	return r
}

// reply is the record as scripts reply it.
func (r record) reply(text bool) []any {
	if !text {
		r.text = ""
	}
	return []any{r.term, r.seq, r.writer, r.remains, r.text}
}

func readValue(s command) any {
	return append(s.record().reply(s.number("text") != 0), s.micros)
}

func readLed(s command) any {
	held, _ := s.get(s.key("lock"))
	left := s.pttl(s.key("lock"))
	r := s.record()
	if ttl := s.number("flagTTL"); ttl != 0 && !s.readOnly {
		s.watchFlag(s.key("wait"), ttl)
	}
	return append(append([]any{held, left}, r.reply(true)...), s.micros)
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
	if held, found := s.get(s.key("lock")); !found || held != s.text("value") {
		return []any{int64(lua.NotHeld), int64(0), int64(0), int64(0), int64(0), ""}
	}
	return publishValue(s)
}

func publishValue(s command) any {
	before := s.record()
	term, seq, writer := s.number("term"), s.number("seq"), s.number("writer")
	order := term - before.term
	if order == 0 {
		order = seq - before.seq
	}
	if order == 0 {
		order = writer - before.writer
	}
	key, retention, kept := s.key("value"), s.number("retention"), s.number("kept")
	if order > 0 || order == 0 && before.remains >= 0 && (kept == 0 || retention > before.remains) {
		extra := int64(0)
		if kept != 0 {
			extra = kept - retention
		}
		s.set(key, fmt.Sprintf("%d %d %d %d %s", term, seq, writer, extra, s.text("text")), kept)
		if kept == 0 {
			s.store.keys[key].ends = 0
		}
	}
	if order > 0 {
		s.publish(key[:strings.LastIndexByte(key, ':')]+":news", fmt.Sprintf("%d.%d", term, seq))
	}
	done := int64(1)
	shown := record{term: before.term, seq: before.seq, writer: before.writer}
	if order < 0 {
		done = 0
		if s.number("former") == 1 {
			shown = before
		}
	}
	return append([]any{done}, shown.reply(true)...)
}
