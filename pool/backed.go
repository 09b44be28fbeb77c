package pool

// Backed is implemented by pools that can say which client they send through. Two pools
// on one client are one node: redlock.New refuses them. All Lockers of a process share
// one subscription for each client.
type Backed interface {
	// Backing returns the client as a value that can be compared. Two pools that send
	// through the same client return equal values. It is nil if the client is not known.
	Backing() any
}
