package main

import (
	"cmp"
	"maps"
	"slices"
)

// A store is what one Redis server keeps: the few types that the lock uses, with
// the server's rules for how keys come and go.
type store struct {
	keys map[string]*entry
	now  int64 // milliseconds of the server's clock, as the command began
}

type entry struct {
	text   string
	line   map[string]int64  // a sorted set: members by score
	fields map[string]string // a hash
	ends   int64             // the last millisecond that it is there, 0 for ever
}

// clone copies all that is there.
func (s *store) clone() map[string]*entry {
	keys := make(map[string]*entry)
	for key, e := range s.keys {
		keys[key] = &entry{e.text, maps.Clone(e.line), maps.Clone(e.fields), e.ends}
	}
	return keys
}

func newStore() *store { return &store{keys: make(map[string]*entry)} }

// find returns what is there, or nil. A server takes a key as gone when its clock is
// past the end, not when it is at the end (keyIsExpired).
func (s *store) find(key string) *entry {
	e := s.keys[key]
	if e != nil && e.ends != 0 && s.now > e.ends {
		delete(s.keys, key)
		return nil
	}
	return e
}

// A valueKind is the type of a key.
type valueKind int

const (
	aText valueKind = iota
	aHash
	aSortedSet
)

// is reports whether there is no key, or one of this type.
func (s *store) is(key string, want valueKind) bool {
	e := s.find(key)
	kind := aText
	switch {
	case e == nil:
		return true
	case e.line != nil:
		kind = aSortedSet
	case e.fields != nil:
		kind = aHash
	}
	return kind == want
}

func (s *store) get(key string) (text string, found bool) {
	if e := s.find(key); e != nil {
		return e.text, true
	}
	return "", false
}

func (s *store) set(key, text string, ttl int64) {
	s.keys[key] = &entry{text: text, ends: s.now + ttl}
}

func (s *store) del(key string) { delete(s.keys, key) }

// pttl is -2 for no key, and -1 for one that lives for ever.
func (s *store) pttl(key string) int64 {
	switch e := s.find(key); {
	case e == nil:
		return -2
	case e.ends == 0:
		return -1
	default:
		return e.ends - s.now
	}
}

// pexpire deletes a key that is to live no longer than now, as a server does.
func (s *store) pexpire(key string, ttl int64) { s.pexpireat(key, s.now+ttl) }

// pexpireat does so by the time at which the key ends.
func (s *store) pexpireat(key string, at int64) {
	e := s.find(key)
	switch {
	case e == nil:
	case at <= s.now:
		s.del(key)
	default:
		e.ends = at
	}
}

func (s *store) hget(key, field string) (value string, found bool) {
	if e := s.find(key); e != nil {
		value, found = e.fields[field]
	}
	return value, found
}

func (s *store) hset(key, field, value string) {
	e := s.find(key)
	if e == nil {
		e = &entry{fields: make(map[string]string)}
		s.keys[key] = e
	}
	e.fields[field] = value
}

func (s *store) hdel(key, field string) {
	if e := s.find(key); e != nil {
		if delete(e.fields, field); len(e.fields) == 0 {
			s.del(key)
		}
	}
}

func (s *store) zadd(key string, score int64, member string) {
	e := s.find(key)
	if e == nil {
		e = &entry{line: make(map[string]int64)}
		s.keys[key] = e
	}
	e.line[member] = score
}

func (s *store) zscore(key, member string) (score int64, found bool) {
	if e := s.find(key); e != nil {
		score, found = e.line[member]
	}
	return score, found
}

func (s *store) zrem(key, member string) {
	if e := s.find(key); e != nil {
		if delete(e.line, member); len(e.line) == 0 {
			s.del(key)
		}
	}
}

// zdrop removes the members whose score is no larger than that.
func (s *store) zdrop(key string, most int64) {
	for _, m := range s.members(key) {
		if score, _ := s.zscore(key, m); score <= most {
			s.zrem(key, m)
		}
	}
}

// first is the member with the smallest score, the smallest name where scores are the
// same.
func (s *store) first(key string) (member string, score int64, found bool) {
	e := s.find(key)
	if e == nil {
		return "", 0, false
	}
	for m, at := range e.line {
		if !found || at < score || at == score && m < member {
			member, score, found = m, at, true
		}
	}
	return member, score, found
}

// last is the member with the largest score, the largest name where scores are the same.
func (s *store) last(key string) (member string, score int64, found bool) {
	all := s.members(key)
	if len(all) == 0 {
		return "", 0, false
	}
	member = all[len(all)-1]
	score, found = s.zscore(key, member)
	return member, score, found
}

// members are those of a sorted set, in its order.
func (s *store) members(key string) []string {
	e := s.find(key)
	if e == nil {
		return nil
	}
	return slices.SortedFunc(maps.Keys(e.line), func(a, b string) int {
		return cmp.Or(cmp.Compare(e.line[a], e.line[b]), cmp.Compare(a, b))
	})
}
