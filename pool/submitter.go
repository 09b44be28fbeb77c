package pool

import "context"

// Submitter is implemented by pools that send a command without waiting for the
// replies to those before it. The lock then asks all nodes from the goroutine of
// the caller, and commands that are sent at the same moment travel together.
type Submitter interface {
	// Submit sends one command as [Pool.Do] does, and returns at once: it waits
	// for no reply, no connection and no room in a socket's buffer. Commands are
	// sent in the order of the calls; the server has carried out one before it
	// begins with the next, unless the connection was replaced in between.
	//
	// r is told the outcome exactly once, from any goroutine, but never before
	// Submit returns on the goroutine that called it: the caller may hold a lock
	// that r needs. It may submit while it is told, itself again, too: forget it
	// before you tell it. Once told, it stands for another command, perhaps of
	// another lock: to be told twice could make two holders of that one. The
	// outcome is what Do returns, with two differences.
	//
	// A command that was sent is not given up at the deadline of ctx: r is told the
	// late reply, too, or that there will be none, within a few seconds. A late
	// "granted" can be undone for certain, what was never heard of only by repeating
	// the release until it is too old to matter. A command that was not sent by the
	// deadline is not sent any more.
	//
	// And ctx and args are lent: they may be kept until r is told, and not be touched
	// any more from then on, by no goroutine. The lock uses both for another command. A
	// context that was derived from ctx is cancelled before, for it asks ctx.
	Submit(ctx context.Context, r Receiver, args ...any)
}

// A Receiver is told what became of a command. It must not block.
type Receiver interface {
	Receive(reply any, err error)
}
