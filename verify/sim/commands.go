package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
)

// A status is a simple string, such as OK.
type status string

// redis is a command that a script calls, or that a client sends. run is the run id of
// the server.
func (s command) redis(run string, args []string) (reply any, err error) {
	name := strings.ToUpper(args[0])
	if len(args) < arity[name] {
		return nil, pool.Error(fmt.Sprintf("ERR wrong number of arguments for '%s' command", name))
	}
	if s.readOnly && writes[name] {
		return nil, errReadOnly
	}
	if wants, typed := kinds[name]; typed && !s.store.is(args[1], wants) {
		return nil, errWrongType
	}
	at := func(n int) string { return args[n] }
	switch name {
	case "GET":
		return optional(s.get(at(1))), nil
	case "GETRANGE":
		value, _ := s.get(at(1))
		begin, end := int(integer(at(2))), int(integer(at(3)))
		if end < 0 { // counted from the last byte
			end += len(value)
		}
		if end = min(end+1, len(value)); begin >= end {
			return "", nil
		}
		return value[begin:end], nil
	case "SET":
		return s.setWith(at(1), at(2), args[3:])
	case "MGET":
		var all []any
		for _, key := range args[1:] {
			if !s.store.is(key, aText) {
				all = append(all, nil)
				continue
			}
			all = append(all, optional(s.get(key)))
		}
		return all, nil
	case "DEL", "EXISTS":
		n := int64(0)
		for _, key := range args[1:] {
			if s.find(key) != nil {
				n++
			}
			if name == "DEL" {
				s.del(key)
			}
		}
		return n, nil
	case "PTTL":
		return s.pttl(at(1)), nil
	case "PEXPIRE":
		there := s.find(at(1)) != nil
		s.pexpire(at(1), integer(at(2)))
		return truth(there), nil
	case "PEXPIREAT":
		there := s.find(at(1)) != nil
		s.pexpireat(at(1), integer(at(2)))
		return truth(there), nil
	case "HGET":
		return optional(s.hget(at(1), at(2))), nil
	case "HEXISTS":
		_, there := s.hget(at(1), at(2))
		return truth(there), nil
	case "HSET":
		_, there := s.hget(at(1), at(2))
		s.hset(at(1), at(2), at(3))
		return truth(!there), nil
	case "HDEL":
		_, there := s.hget(at(1), at(2))
		s.hdel(at(1), at(2))
		return truth(there), nil
	case "ZADD":
		_, there := s.zscore(at(1), at(3))
		s.zadd(at(1), integer(at(2)), at(3))
		return truth(!there), nil
	case "ZREM":
		_, there := s.zscore(at(1), at(2))
		s.zrem(at(1), at(2))
		return truth(there), nil
	case "ZSCORE":
		if score, there := s.zscore(at(1), at(2)); there {
			return strconv.FormatInt(score, 10), nil
		}
		return nil, nil
	case "ZREMRANGEBYSCORE": // from -inf on
		before := len(s.members(at(1)))
		s.zdrop(at(1), integer(at(3)))
		return int64(before - len(s.members(at(1)))), nil
	case "ZCOUNT": // of those with a larger score
		n := int64(0)
		for _, m := range s.members(at(1)) {
			if score, _ := s.zscore(at(1), m); score > integer(strings.TrimPrefix(at(2), "(")) {
				n++
			}
		}
		return n, nil
	case "ZRANGE", "ZREVRANGE":
		members := s.members(at(1))
		if name == "ZREVRANGE" {
			slices.Reverse(members)
		}
		return s.zrange(at(1), members, int(integer(at(2))), int(integer(at(3))), len(args) > 4), nil
	case "PUBLISH":
		s.publish(at(1), at(2))
		return int64(0), nil // no caller reads how many received it
	case "TIME":
		return []any{strconv.FormatInt(s.micros/1_000_000, 10), strconv.FormatInt(s.micros%1_000_000, 10)}, nil
	case "INFO":
		return "# Server\r\nrun_id:" + run + "\r\n", nil
	case "PING":
		return status("PONG"), nil
	}
	return nil, pool.Error(fmt.Sprintf("ERR unknown command '%s'", args[0]))
}

// arity is the least number of words.
var arity = map[string]int{"GET": 2, "MGET": 2, "GETRANGE": 4, "SET": 3, "DEL": 2, "EXISTS": 2, "PTTL": 2, "PEXPIRE": 3, "HGET": 3, "HEXISTS": 3,
	"HSET": 4, "HDEL": 3, "ZADD": 4, "ZREM": 3, "ZSCORE": 3, "ZRANGE": 4, "ZREVRANGE": 4, "ZCOUNT": 4, "ZREMRANGEBYSCORE": 4, "PEXPIREAT": 3, "PUBLISH": 3}

// writes are the commands that a replica refuses.
var writes = map[string]bool{"SET": true, "DEL": true, "PEXPIRE": true, "PEXPIREAT": true, "HSET": true, "HDEL": true, "ZADD": true, "ZREM": true, "ZREMRANGEBYSCORE": true}

// kinds are the commands about keys of one type.
var kinds = map[string]valueKind{"GET": aText, "GETRANGE": aText, "HGET": aHash, "HEXISTS": aHash, "HSET": aHash, "HDEL": aHash,
	"ZADD": aSortedSet, "ZREM": aSortedSet, "ZSCORE": aSortedSet, "ZRANGE": aSortedSet, "ZREVRANGE": aSortedSet, "ZCOUNT": aSortedSet, "ZREMRANGEBYSCORE": aSortedSet}

const errWrongType = pool.Error("WRONGTYPE Operation against a key holding the wrong kind of value")

// setWith is SET with its options.
func (s command) setWith(key, value string, options []string) (any, error) {
	var ttl int64
	exclusive, get := false, false
	for i := 0; i < len(options); i++ {
		switch options[i] {
		case "NX":
			exclusive = true
		case "GET":
			get = true
		case "PX":
			if i++; i < len(options) {
				ttl = integer(options[i])
			}
		}
	}
	if get && !s.store.is(key, aText) {
		return nil, errWrongType
	}
	held, there := s.get(key)
	if !there || !exclusive {
		if s.set(key, value, ttl); ttl == 0 {
			s.store.keys[key].ends = 0
		}
	}
	switch {
	case get:
		return optional(held, there), nil
	case there && exclusive:
		return nil, nil
	}
	return status("OK"), nil
}

// zrange returns the members from one index to another. A negative index counts from the last.
func (s command) zrange(key string, members []string, from, to int, scores bool) any {
	if from < 0 {
		from = max(from+len(members), 0)
	}
	if to < 0 {
		to += len(members)
	}
	all := []any{}
	for _, m := range members[min(from, len(members)):min(to+1, len(members))] {
		all = append(all, m)
		if scores {
			score, _ := s.zscore(key, m)
			all = append(all, strconv.FormatInt(score, 10))
		}
	}
	return slices.Clip(all)
}

func optional(value string, there bool) any {
	if there {
		return value
	}
	return nil
}

func truth(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// integer reads a number as scripts write it.
func integer(text string) int64 {
	n, _ := strconv.ParseFloat(text, 64)
	return int64(n)
}
