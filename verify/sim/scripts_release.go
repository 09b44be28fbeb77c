package main

import "strings"

// The scripts that give a lock up.

func release(s command) any {
	key := s.key("lock")
	held, found := s.held(key)
	ours := found && held == s.text("value")
	if ours {
		s.del(key)
		s.del(s.key("intent"))
	} else if !s.given("ticket") {
		return int64(0)
	}
	reply := s.released(ours, ours || !found)
	if s.given("ticket") && !s.given("requeue") && strings.HasPrefix(held, "rs1:") {
		if next, _, queued := s.first(s.key("queue")); queued && strings.HasSuffix(next, "-r") {
			s.publish(s.wake()+":"+next, next)
		}
	}
	return reply
}

// released is what a release does when the lock was given up: ours says that it was, and free that nobody
// holds it now.
func (s command) released(ours, free bool) any {
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
		if !free {
			return deleted
		}
		if !strings.HasSuffix(s.key("wait"), "/}:wait") && s.find(queue) == nil {
			s.del(lease)
		}
	}
	flag, flagged := s.get(s.key("wait"))
	if !free || !flagged {
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
