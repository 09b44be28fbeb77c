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
//   - Node timeout: how long the answer of a node is waited for ([WithNodeTimeout]).
//   - Holder: the caller that was granted the lock, until the lock ends.
//   - Waiter: a caller that waits to be granted the lock. Waiters form a wait queue
//     ([Locker.Lock]).
//   - Wake-up: the message that a node publishes when a lock is released. A waiter then
//     asks at once.
//   - Fencing token: a number that is larger for each later holder ([Lock.Token]).
package redlock
