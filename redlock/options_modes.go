package redlock

import "time"

// Options that make a lock do more than exclude.

// WithFair serves waiters first come, first served, across processes. The order counts
// from the moment at which a majority of the nodes has recorded a waiter.
//
// Use it for all calls for a name. A call without it, or of another library, takes the
// lock whenever the lock is free. If a majority of the nodes loses its data, the order is
// lost, but exclusion is not.
//
// A free lock without waiters costs no more than without this option. An ACL user needs
// the commands TIME, ZADD, ZRANGE, ZREM, ZSCORE, HGET, HSET, HDEL, HEXISTS, EXISTS,
// PEXPIRE and PTTL, and the keys "{key}:queue", "{key}:lease" and "{key}:wait", besides
// the rights for wake-ups.
func WithFair() LockOption {
	return lockOption(func(s *settings) { s.fair = true })
}

// minLease is the default of WithPlaceLease where nodes answer soon.
const minLease = 2 * time.Second

// WithPlaceLease sets how long the nodes keep the position (place) of a process that
// has stopped asking, in the wait queue of [WithFair]. When a waiting process dies, the
// waiters after it wait longer by up to d. A waiting process asks three times in d,
// even if the retry delay is longer.
//
// d is at least four times the node timeout. The default is the longer of 2 s and four
// times the node timeout.
func WithPlaceLease(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		s.waits = append(s.waits, "WithPlaceLease")
		if s.positionTTL = d; d <= 0 {
			s.refuse("WithPlaceLease(%v): must be above 0", d)
		}
	})
}

// WithFencing gives every lock a fencing token, see [Lock.Token].
//
// It costs no round trip, with three exceptions of one round trip each: the first
// acquisition of a Locker, which learns the time of the nodes; the first one after this
// Locker has asked for none for a while (50 s with the default [WithDriftFactor]); and
// one whose token was too small, which is rare.
//
// Use it for all calls for a name: a holder without a token cannot be told to be late.
// An ACL user needs the command TIME, and the key "{key}:fence". A node whose clock is
// more than a day behind those of a majority takes no tokens, and its error says so.
func WithFencing() LockOption {
	return lockOption(func(s *settings) { s.fencing = true })
}

const minTokenLife = time.Minute

// WithTokenLife sets how long the nodes remember the newest token of a name, from the
// last acquisition with [WithFencing] on. After that time the next token is larger
// because it is the time of day of the nodes. So d must exceed the time by which their
// clocks may be set back, and by which they may differ.
//
// d is a minute to 365 days. The default is 24 hours. All calls for a name must use the
// same d: otherwise a node may accept a token smaller than one that it has forgotten.
// Each name takes about 100 bytes on each node.
func WithTokenLife(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		if s.tokenLife = d; d < minTokenLife || d > maxTTL {
			s.refuse("WithTokenLife(%v): must be at least %v and at most %v", d, minTokenLife, maxTTL)
		}
	})
}

// WithRestartGuard does not count a node that may have forgotten locks until all that
// it may have forgotten have expired: the node is in quarantine. Such a node has
// restarted, even if it restored all data, or was flushed, or is a replica that took
// over. Without the guard it can let in a second holder. The guard costs no round trip,
// and the server a few microseconds per attempt. The default is no guard.
//
// longest is the largest TTL of all locks, 10 ms to 365 days. A larger TTL is an error,
// of New or of the call (see [LockOption]).
//
// All clients of a node must use the guard with the same longest, number of nodes and
// [WithDriftFactor]. To a client that differs, the node is one that failed: the error
// of each attempt says how, and matches [ErrNoQuorum] if that leaves no majority. A
// client without the guard does not notice a quarantine. The guard has two keys on each
// node, "redlock:node" and "redlock:quarantine". They have no prefix, whatever
// [WithPrefix] says: all services on the node share them.
//
// A quarantine lasts for longest and its drift. It begins with the first attempt that
// reaches a new or restarted node. So a new deployment grants no lock for that time:
// [Locker.Lock] waits, and the error of TryLock matches [ErrNoQuorum] and
// [ErrQuarantine], and says for how long. Locks that are held go on: a node in
// quarantine that still has one counts for Extend and Unlock. If a node is certainly
// new, "DEL redlock:quarantine" on it ends its quarantine. If you restart nodes one by
// one, let longest pass in between. [Locker.Check] says which nodes are in quarantine.
//
// One address must lead to one master at a time. Behind a balancer that checks roles, or
// with a frozen active server and a backup, two masters answer under one name. Then both
// grant, even with the guard: the old master must be dead, or unreachable for all
// clients. Over Sentinel, longest must exceed the time in which new clients use the
// promoted replica while older ones still use the old master. A second planned fail-over
// within about ten seconds can promote the old master again (seen on Redis 7.0.15).
//
// An ACL user needs the command INFO, and the two keys. The guard does not notice that a
// server evicts keys.
func WithRestartGuard(longest time.Duration) Option {
	return lockerOption(func(c *config) {
		if c.longest = longest; longest < minTTL || longest > maxTTL {
			c.refuse("WithRestartGuard(%v): must be at least %v and at most %v", longest, minTTL, maxTTL)
		}
	})
}
