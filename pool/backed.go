package pool

// Backed is implemented by pools that can say which client they stand on. Two pools on
// one client are one node: the lock refuses to count it twice. And all Lockers of a
// process share one subscription for each client.
type Backed interface {
	// Backing returns the client: a value that can be compared, and is equal for two
	// pools if they send through the same client. It is nil if that is not known.
	Backing() any
}
