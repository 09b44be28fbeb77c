package redlocktest

import "time"

// Hold sets a key as a foreign holder would, whatever it was before. A ttl of 0
// means that it never expires. The methods in this file look at and change the
// node's data directly: they work while it is frozen or stopped, and no fault
// applies to them.
func (n *Node) Hold(key, value string, ttl time.Duration) {
	n.gate.Lock()
	defer n.gate.Unlock()
	n.clock.follow(n.store)
	n.store.Del(key) // Set refuses to replace a key of another type
	_ = n.store.Set(key, value)
	if ttl > 0 {
		n.store.SetTTL(key, ttl)
	}
}

// Delete removes a key and tells whether it was there.
func (n *Node) Delete(key string) bool {
	n.gate.Lock()
	defer n.gate.Unlock()
	n.clock.follow(n.store)
	return n.store.Del(key)
}

// Get returns the value of a key, and false if there is none or it holds no
// string.
func (n *Node) Get(key string) (value string, ok bool) {
	n.gate.RLock()
	defer n.gate.RUnlock()
	n.clock.follow(n.store)
	value, err := n.store.Get(key)
	return value, err == nil
}

// TTL returns how long a key has still to live, 0 if it never expires or does
// not exist.
func (n *Node) TTL(key string) time.Duration {
	n.gate.RLock()
	defer n.gate.RUnlock()
	n.clock.follow(n.store)
	return n.store.TTL(key)
}

// Keys returns the names of all keys, sorted.
func (n *Node) Keys() []string {
	n.gate.RLock()
	defer n.gate.RUnlock()
	n.clock.follow(n.store)
	return n.store.Keys()
}
