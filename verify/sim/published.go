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
		return record{remains: -1} // the end is 0, as of a text that never expires
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
	if n[3] != 0 {
		r.remains = max(n[3]-s.micros/1000, 0)
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
	key, retention := s.key("value"), s.number("retention")
	if order > 0 || order == 0 && before.remains >= 0 && (retention == 0 || retention > before.remains) {
		ends := int64(0)
		if retention != 0 {
			ends = s.micros/1000 + retention
		}
		s.set(key, fmt.Sprintf("%d %d %d %d %s", term, seq, writer, ends, s.text("text")), s.number("kept"))
		if s.number("kept") == 0 {
			s.store.keys[key].ends = 0
		}
	}
	if order > 0 {
		s.publish(strings.TrimSuffix(key, "value")+"news", fmt.Sprintf("%d.%d", term, seq))
	}
	done := int64(1)
	if order < 0 {
		done = 0
	}
	return append([]any{done}, before.reply(s.number("former") == 1)...)
}
