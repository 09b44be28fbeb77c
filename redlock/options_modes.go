package redlock

import "time"

// Options that make a lock do more than exclude.

// WithFair serves those who wait first come first served, across processes: who
// stood in line on a majority of the nodes before another one asked gets the lock
// before it. Use it for all calls for a name: those without it, and other libraries,
// take the lock whenever they find it free. So may anybody where a majority of the
// nodes lost the line with their data: order may be lost, exclusion is not.
//
// A free lock that nobody waits for costs the same as without. An ACL user needs
// the commands TIME, ZADD, ZRANGE, ZREM, ZSCORE, HGET, HSET, HDEL, HEXISTS, EXISTS,
// PEXPIRE and PTTL for it, and the keys "{key}:queue", "{key}:lease" and "{key}:wait"
// ("{tag}:{key}:queue" where "{tag}" is part of the key): SECURITY.md has the lines.
func WithFair() LockOption {
	return lockOption(func(s *settings) { s.fair = true })
}

// minLease is the default of WithPlaceLease where nodes answer soon.
const minLease = 2 * time.Second

// WithPlaceLease sets how long [WithFair] keeps the place of a process that stopped
// asking: when it died, those behind it wait that much longer. Processes that
// wait ask three times in that time, whatever the retry delay. It must be at least
// four times the node timeout. The default is that, but at least 2 s.
func WithPlaceLease(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		s.waits = append(s.waits, "WithPlaceLease")
		if s.lease = d; d <= 0 {
			s.refuse("WithPlaceLease(%v): must be above 0", d)
		}
	})
}

// WithFencing gives every lock a fencing token, see [Lock.Token]. It costs no round trip,
// but the first acquisition of a Locker, which has yet to learn the time of the nodes, the
// first after a pause (50 s with the default [WithDriftFactor]), and one whose token is not
// the newest, which happens rarely, cost one more.
//
// Use it for all calls for a name: tokens say nothing about holders without one. An ACL
// user needs the command TIME for it, and the key "{key}:fence" ("{tag}:{key}:fence" where
// "{tag}" is part of the key). A node whose clock is more than a day behind those of a
// majority takes no tokens, and its error says so.
func WithFencing() LockOption {
	return lockOption(func(s *settings) { s.fencing = true })
}

const minTokenLife = time.Minute

// WithTokenLife sets how long the nodes remember the newest token of [WithFencing] for
// each name, after the last acquisition of that name. When they have forgotten it, the
// next one is larger because it is the time of day of the nodes: so d must exceed what
// their clocks may be set back, and what they may differ by. All calls for a name must
// use the same. It takes about 100 bytes of each node for each name. The default is
// 24 hours, the range is a minute to 365 days.
func WithTokenLife(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		if s.tokenLife = d; d < minTokenLife || d > maxTTL {
			s.refuse("WithTokenLife(%v): must be at least %v and at most %v", d, minTokenLife, maxTTL)
		}
	})
}

// WithRestartGuard keeps a node that may have forgotten locks out of majorities until all
// of them have expired: one that restarted, whatever it kept of its data, was flushed, or
// is a replica that took over. Without it such a node can let in a second holder. longest
// is the largest TTL of all locks; larger ones are refused. The guard costs no round
// trip, and the server a few microseconds.
//
// All clients of a node must use it, with the same longest, number of nodes and
// [WithDriftFactor]: the node keeps that in the key "redlock:node", and a client that
// differs gets an error that says how. One that does not use the guard gets past it. A
// node that counts for the first time does so after longest, as one that restarted does:
// until then [Locker.Lock] waits, and TryLock matches [ErrNoQuorum], and says for how
// long. On nodes that are new for certain, "DEL redlock:quarantine" ends that. When you
// restart nodes one by one, let longest pass in between. It counts from the first one who
// wants a lock there after the restart. [Locker.Check] says which nodes are kept out.
//
// One address must reach one master at a time. Behind a balancer that checks roles, or with
// a frozen active server and a backup, two masters answer under one name and both grant,
// with the guard, too: the old one must be dead, or unreachable for all clients. Over
// Sentinel longest must exceed the time in which new clients are led to the promoted replica
// while older ones still use the old master. A second planned fail-over within about ten
// seconds can promote the old master again (seen on Redis 7.0.15).
//
// An ACL user needs the command INFO for it, and the keys "redlock:node" and
// "redlock:quarantine". What it does not see is keys that are evicted.
func WithRestartGuard(longest time.Duration) Option {
	return lockerOption(func(c *config) {
		if c.longest = longest; longest < minTTL || longest > maxTTL {
			c.refuse("WithRestartGuard(%v): must be at least %v and at most %v", longest, minTTL, maxTTL)
		}
	})
}
