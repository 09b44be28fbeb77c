package redlocktest

import "time"

// Hold sets a key as another holder would, whatever the key was before. key is the whole name,
// with the prefix of redlock.WithPrefix. With a ttl of 0 the key never expires.
//
// Hold, Delete, Get, TTL and Keys read and change the node's data directly. They work while the
// node is frozen or stopped, and no fault applies to them.
func (n *Node) Hold(key, value string, ttl time.Duration) {
	n.running.Lock()
	defer n.running.Unlock()
	n.clock.follow(n.store)
	n.store.Del(key) // Set refuses to replace a key of another type
	_ = n.store.Set(key, value)
	if ttl > 0 {
		n.store.SetTTL(key, ttl)
	}
}

// Delete removes a key. It returns false if there was none.
func (n *Node) Delete(key string) bool {
	n.running.Lock()
	defer n.running.Unlock()
	n.clock.follow(n.store)
	return n.store.Del(key)
}

// Get returns the value of a key. ok is false if there is no such key or it does not hold a
// string.
func (n *Node) Get(key string) (value string, ok bool) {
	n.running.RLock()
	defer n.running.RUnlock()
	n.clock.follow(n.store)
	value, err := n.store.Get(key)
	return value, err == nil
}

// TTL returns the remaining time to live of a key. It is 0 if the key never expires or does not
// exist: [Node.Keys] says which. (In redlock.NodeState a key that never expires has a negative
// TTL.)
func (n *Node) TTL(key string) time.Duration {
	n.running.RLock()
	defer n.running.RUnlock()
	n.clock.follow(n.store)
	return n.store.TTL(key)
}

// Keys returns the names of all keys, sorted.
func (n *Node) Keys() []string {
	n.running.RLock()
	defer n.running.RUnlock()
	n.clock.follow(n.store)
	return n.store.Keys()
}
