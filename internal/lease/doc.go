// Package lease is what makes a grant into a held lock: how long it is certainly held,
// the context that ends with it, its renewal, and its loss.
//
// A [Lease] is one of them. A [Keeper] has what the leases of one Locker share: the set of
// those that are held, the renewal batches, and the watch for a suspend of the machine.
// What is outside is behind two interfaces: [Keys], the keys on the nodes, and [Lock],
// which renews, rolls back, leaves the wait queue and reports.
//
// # The end of a lease
//
// A lease ends once, with one cause. Where that is decided:
//
//	ErrExpired     validity is over: expire and Release in end.go ask state.remaining. They are
//	               called by the deadline timer, after a suspend, by the sweep of the Keeper, and
//	               by the methods of the lock and of its context
//	ErrLost        no majority is left: Lock.extend in package redlock, if so many nodes denied
//	               an extension, calls End
//	ErrClosed      the Locker was closed: Keeper.Close
//	ErrReleased    Lock.Unlock calls Release; a grant that no caller wants any more is ended by End
//	ErrHandedOver  Lock.Handle calls HandOver
//
// Then, in this order:
//
//  1. setCause, with the mutex of the lease held: the cause is set, and the deadline timer is
//     stopped. No node is taken again; a release sees to that itself. If a release is to follow,
//     or keys may outlive the lease, the keys expect a release from here on: Close waits for
//     that, and cannot come between.
//  2. Its context ends with the cause. From here on no mutex is held. (What follows runs on
//     another goroutine if a caller only asked: a method of the context, or Lock.Held.)
//  3. A renewal under way ends.
//  4. The Keeper forgets the lease, and takes it out of its renewal batch.
//  5. [Lock.Ended]: what may outlive the lease is rolled back, and the next in the wait queue
//     has its turn. A lease that was released gives both up with the release.
//  6. [Lock.Lost] reports, unless it was released or handed over.
//
// Of leases that end together each is at 5 before the first is at 6.
//
// # Order of locks
//
// Lease.mu comes before the mutex of the Keys, Keeper.mu and renewals.mu. No two of these
// three are held together, and nothing but the clock is called with Keeper.mu or renewals.mu
// held. No method of Lock but Keys is called with any of them held.
package lease
