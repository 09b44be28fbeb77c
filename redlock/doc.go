// Package redlock takes locks on independent Redis masters: a lock is granted only if a
// majority of them agreed inside its validity window (Redlock, as on the Redis page
// "Distributed Locks with Redis").
//
//	locker, err := redlock.New([]pool.Pool{
//		goredis.New(redis1), goredis.New(redis2), goredis.New(redis3),
//	})
//	...
//	err = locker.Do(ctx, "nightly-backup", func(ctx context.Context) error {
//		return backup(ctx) // ctx ends if the lock is lost
//	})
//
// The examples of [github.com/quorumlock/quorumlock/pool/goredis] and
// [github.com/quorumlock/quorumlock/pool/redigo] show how to make a pool of a client.
//
// There is at most one holder at a time, as long as the nodes are independent masters,
// all clients use the same nodes, the nodes keep what they acknowledged, and their clocks
// run at about the rate of this machine's clock. docs/guarantees.md argues that, and says
// what breaks it. A lock is a lease: a holder that was paused past [Lock.Until] no longer
// holds it, and must look at [Lock.Context] before it goes on.
//
// # Words
//
//   - Node: one Redis master.
//   - Majority: more than half of all nodes, whether they answer or not: 2 of 3, 3 of 5.
//   - Round: one command to all nodes at the same time, and their answers. An attempt is
//     a round that asks for a lock.
//   - TTL: how long a node keeps a lock that is neither extended nor released
//     ([WithTTL]).
//   - Validity: how long the holder may rely on the lock, a little less than the TTL. It
//     ends at [Lock.Until].
//   - Node timeout: how long the answer of a node is waited for ([WithNodeTimeout]). It
//     grows while nodes are slow.
//   - Holder: the caller that was granted the lock, until the lock ends.
//   - Waiter: a caller that waits to be granted the lock. Waiters form a wait queue
//     ([Locker.Lock]).
//   - Wake-up: the message that a node publishes when a lock is released. A waiter then
//     asks at once.
//   - Fencing token: a number that is larger for each later holder ([Lock.Token]).
//   - Deny: a node denies a lock if another client has it there, or comes first. A node
//     that does not answer, or with an error reply (it refuses), has failed.
//   - Value: the string under the key of a lock. It is new for each attempt, and a
//     secret.
//   - Split nodes: several values have some nodes each, and none has a majority. So the
//     attempt has no winner.
//   - Roll back: delete what a failed attempt left on nodes.
//   - Foreign holder: a client of another library.
//   - Drift: what a time is shortened or prolonged by since clocks run at different
//     rates ([WithDriftFactor]).
//   - Head: the waiter that comes first in its wait queue.
//
// # Rights
//
// An ACL user needs SET, GET, DEL, PEXPIRE, PTTL, EVAL and EVALSHA on the keys of
// locks, and should have GETRANGE and PING. For wake-ups these rights extend to the key
// "{key}:wait", and PUBLISH, SUBSCRIBE and UNSUBSCRIBE are needed on the channels
// "{key}:wake" and "{key}:wake:*". A key that contains a hash tag "{tag}" has
// "{tag}:{key}:wait" instead, and so on. [WithFair], [WithFencing], [WithRestartGuard]
// and [Locker.List] need more. SECURITY.md has the lines.
package redlock
