// Package redlock takes locks on independent Redis masters: a lock is granted
// only if a majority of them agreed inside its validity window (Redlock, as on
// the Redis page "Distributed Locks with Redis").
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
// [github.com/quorumlock/quorumlock/pool/redigo] show how a client gets there.
//
// A node is one master. An attempt asks all nodes in one round. A wake-up is the message of a
// release. A leftover is a key that this Locker is releasing. What is promised, and under
// which assumptions, is argued in docs/guarantees.md.
// In short: there is at most one holder at a time, as long as the nodes are independent
// masters, all clients use the same nodes, the nodes keep what they acknowledged, and their
// clocks run at about the rate of the clock of this machine. A lock
// is a lease: a holder that is paused past [Lock.Until] no longer holds it, and must look at
// [Lock.Context] before it goes on.
package redlock
