package pool

// Bounded is implemented by pools whose Do returns soon after the deadline of ctx,
// whatever the server, the network or the client's connection pool does. Do may exceed
// the deadline by at most an eighth of the time from the call to the deadline, or a
// millisecond if that is longer.
//
// If the lock needs the answer of every node, for instance because there is only one, it
// calls Do on the goroutine that called the lock. Without Bounded it hands the call to
// another goroutine and back.
type Bounded interface {
	Pool

	// Bounded does nothing.
	Bounded()
}
