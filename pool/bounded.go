package pool

// Bounded is implemented by pools whose Do returns soon after the deadline of ctx,
// whatever the server, the network or the client's connection pool does. Do may exceed the
// deadline by a fraction of the time that the call had, not by more.
//
// Where the lock needs the answer of every node, as with a single node, it calls Do of
// such a pool on the goroutine of its own caller. That saves two hand-overs between
// goroutines.
type Bounded interface {
	Pool

	// Bounded does nothing.
	Bounded()
}
