// Package waiting is what makes a caller wait for a lock, and what ends the wait.
//
// A caller that waits is a [Waiter]. Three things decide when it asks the nodes:
//
//   - Its position in the wait queue of its process. Only the head of the queue asks.
//   - A wake-up: a node publishes that the lock was released.
//   - The retry delay, and other times that are known. They are the backstop: a wake-up may
//     be lost.
//
// Words: an [Entry] is one caller in a wait queue, the head is the first entry. With WithFair an
// entry has a ticket, and the nodes serve the smallest ticket; to draw is to get a ticket that is
// larger than all that the nodes have seen. A [Hub] has the queues and subscriptions of one Locker.
//
// None of them keeps exclusion; a majority of the nodes does. This package sends no command.
// It says when an attempt is due, and which waiter flag the attempt leaves on the nodes.
//
// In the order in which the files build on each other:
//
//	backoff.go       how long to pause: retry delay, backing off, life of a waiter flag
//	wake_up.go       the wake-up subscription of one waiter, and the watchers of a lock
//	wait_queue.go    the local wait queues, and the entry of one caller
//	other_waiter.go  the waiter of another Locker that a release found
//	tickets.go       WithFair: one order for the waiters of all Lockers
//	shared.go        what the Lockers of one process share
//	hub.go           what one Locker has of all that
//	waiter.go        one call that waits, from joining the queue to leaving it
//	attempt.go       what an attempt leaves on the nodes, and what became of it
//	await.go         the pause between two attempts
//	become_head.go   the wait for the first attempt
package waiting
