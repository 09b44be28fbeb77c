package redlock

import "time"

// Options that make a lock do more than exclude.

// WithFair serves waiters first come, first served, across processes. The order counts
// from the moment a majority of the nodes has recorded a waiter.
//
// Use it for all calls for a name. Calls without it, and other libraries, take the lock
// whenever it is free. When a majority of the nodes loses its data, the order is lost and
// exclusion is not.
//
// A free lock without waiters costs no more than without this option. An ACL user needs
// the commands TIME, ZADD, ZRANGE, ZREM, ZSCORE, HGET, HSET, HDEL, HEXISTS, EXISTS,
// PEXPIRE and PTTL, and the keys "{key}:queue", "{key}:lease" and "{key}:wait"
// ("{tag}:{key}:queue" where "{tag}" is part of the key). SECURITY.md has the lines.
func WithFair() LockOption {
	return lockOption(func(s *settings) { s.fair = true })
}

// minLease is the default of WithPlaceLease where nodes answer soon.
const minLease = 2 * time.Second

// WithPlaceLease sets how long [WithFair] keeps the position of a process that stopped
// asking. When a waiting process dies, the waiters behind it wait that much longer. A
// waiting process asks three times in d, whatever the retry delay.
//
// d must be at least four times the node timeout. The default is four times the node
// timeout, and at least 2 s.
func WithPlaceLease(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		s.waits = append(s.waits, "WithPlaceLease")
		if s.lease = d; d <= 0 {
			s.refuse("WithPlaceLease(%v): must be above 0", d)
		}
	})
}

// WithFencing gives every lock a fencing token, see [Lock.Token].
//
// It costs no round trip, with three exceptions of one round trip each: the first
// acquisition of a Locker, which learns the time of the nodes; the first one after a pause
// (50 s with the default [WithDriftFactor]); and one whose token was too small, which is
// rare.
//
// Use it for all calls for a name: a token says nothing about a holder without one. An ACL
// user needs the command TIME, and the key "{key}:fence" ("{tag}:{key}:fence" where
// "{tag}" is part of the key). A node whose clock is more than a day behind those of a
// majority takes no tokens, and its error says so.
func WithFencing() LockOption {
	return lockOption(func(s *settings) { s.fencing = true })
}

const minTokenLife = time.Minute

// WithTokenLife sets how long the nodes remember the newest token of [WithFencing] of a
// name after its last acquisition. After that the next token is larger, because it is the
// time of day of the nodes. So d must exceed the time by which their clocks may be set
// back, and by which they may differ.
//
// All calls for a name must use the same d. Each name takes about 100 bytes on each node.
// The default is 24 hours, the range is a minute to 365 days.
func WithTokenLife(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		if s.tokenLife = d; d < minTokenLife || d > maxTTL {
			s.refuse("WithTokenLife(%v): must be at least %v and at most %v", d, minTokenLife, maxTTL)
		}
	})
}

// WithRestartGuard keeps a node that may have forgotten locks out of majorities until all
// forgotten locks have expired. Such a node restarted, whatever it kept of its data, or was
// flushed, or is a replica that took over. Without the guard it can let in a second
// holder. longest is the largest TTL of all locks; a larger TTL is refused. The guard costs
// no round trip, and the server a few microseconds.
//
// All clients of a node must use the guard with the same longest, number of nodes and
// [WithDriftFactor]. The node keeps these in the key "redlock:node". A client that differs
// gets an error that says how. A client without the guard is not kept out.
//
// A node does not count for longest and its drift, when it is new and after each restart. So
// a new deployment grants no lock for that time. The time begins with the first attempt. Until then [Locker.Lock] waits, and the error of
// TryLock matches [ErrNoQuorum] and says for how long. If a node is certainly new,
// "DEL redlock:quarantine" on it ends the wait. When you restart nodes one by one, let
// longest pass in between. [Locker.Check] says which nodes are kept out.
//
// One address must lead to one master at a time. Behind a balancer that checks roles, or
// with a frozen active server and a backup, two masters answer under one name. Then both
// grant, with the guard, too: the old master must be dead, or unreachable for all clients.
// Over Sentinel, longest must exceed the time in which new clients use the promoted replica
// while older ones still use the old master. A second planned fail-over within about ten
// seconds can promote the old master again (seen on Redis 7.0.15).
//
// An ACL user needs the command INFO, and the keys "redlock:node" and
// "redlock:quarantine". The guard does not see evicted keys.
func WithRestartGuard(longest time.Duration) Option {
	return lockerOption(func(c *config) {
		if c.longest = longest; longest < minTTL || longest > maxTTL {
			c.refuse("WithRestartGuard(%v): must be at least %v and at most %v", longest, minTTL, maxTTL)
		}
	})
}
