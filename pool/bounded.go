package pool

// Bounded is implemented by pools whose Do does not outlast the deadline of ctx by more
// than a fraction of the time that it had: whatever the server, the network or the
// client's connection pool does. Where the lock needs the answer of every node, as it does
// on one, it then calls Do on the goroutine of its own caller, and saves a hand-over to
// another one and back.
type Bounded interface {
	Pool

	// Bounded does nothing.
	Bounded()
}
