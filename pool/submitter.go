package pool

import "context"

// Submitter is implemented by pools that send a command without waiting for the
// replies to earlier ones. The lock then asks all nodes from the goroutine of the
// caller, and commands that are submitted at the same moment travel together.
type Submitter interface {
	// Submit sends one command and returns at once. It waits for no reply, no connection
	// and no space in a socket's buffer. It may send the command after it returned.
	//
	// Commands are sent in the order of the calls. The server finishes one before it
	// begins the next, unless the connection was replaced in between.
	//
	// r receives the outcome exactly once, from any goroutine. The goroutine that called
	// Submit does not call r before Submit returns: the caller may hold a mutex that r
	// needs. Receive may call Submit with the same r. So the pool drops its reference to
	// r before it calls Receive: from then on r belongs to another command, perhaps of
	// another lock, and a second outcome could make two holders of that lock.
	//
	// The duties of [Pool.Do] hold, with two differences.
	//
	// First, a command that was sent is not given up at the deadline of ctx. r receives
	// the late reply, or an error a few seconds after the deadline if there is none. In
	// the adapters of this module it is two seconds. The lock can roll back a late
	// "granted" for certain. Without the late reply it has to repeat the release until the
	// key has expired. A command that was not sent by the deadline is not sent later.
	//
	// Second, ctx and args are borrowed. The pool may keep them until it calls r. From
	// then on none of its goroutines touches them: the lock uses both for another
	// command. A context that the pool derived from ctx reads ctx, so the pool cancels it
	// before it calls r.
	Submit(ctx context.Context, r Receiver, args ...any)
}

// A Receiver receives the outcome of a command, as [Pool.Do] returns it. Receive must not
// block.
type Receiver interface {
	Receive(reply any, err error)
}
