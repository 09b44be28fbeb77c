package fakenode

import (
	"slices"
	"strings"
	"time"
)

// Set makes the node misbehave, or behave again.
func (n *Node) Set(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
}

// SetFaults sets the faults of the nodes with these numbers, or of all if there are none.
func SetFaults(nodes []*Node, f Faults, numbers ...int) {
	for i, n := range nodes {
		if len(numbers) == 0 || slices.Contains(numbers, i) {
			n.Set(f)
		}
	}
}

// Freeze stops the server: commands wait, and take effect on Thaw even if the
// client has given up since.
func (n *Node) Freeze() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if isClosed(n.thawed) {
		n.thawed = make(chan struct{})
	}
}

// EndIdle has the next commands find out that their connection ended while it was idle.
// They take effect so much later all the same, or never, if that is negative.
func (n *Node) EndIdle(commands int, late time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended, n.late = commands, late
}

// CloseClient closes the client for good.
func (n *Node) CloseClient() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
}

// Sent returns how many commands the client was given, with those that did not get to
// the server.
func (n *Node) Sent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// Thaw lets a frozen server go on.
func (n *Node) Thaw() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !isClosed(n.thawed) {
		close(n.thawed)
	}
}

// Lose forgets all keys and scripts, as a server does that restarts without
// its data.
func (n *Node) Lose() {
	n.Restart()
	n.Flush()
}

// Restart forgets the scripts, as a server does that restarts with its data.
func (n *Node) Restart() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.scripts)
	n.starts++
}

// FlushScripts forgets the scripts without a restart.
func (n *Node) FlushScripts() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.scripts)
}

// Flush forgets all keys.
func (n *Node) Flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.keys)
	clear(n.records)
}

// Hold sets a key, as another client would.
func (n *Node) Hold(key, value string, ttl time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.set(key, value, ttl.Milliseconds())
}

// Delete removes a key, as another client would.
func (n *Node) Delete(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.keys, key)
}

// Get returns the value of a key, or "".
func (n *Node) Get(key string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, _ := n.get(key)
	return e.value
}

// Keys returns all keys that have not expired.
func (n *Node) Keys() (keys []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key := range n.keys {
		if _, ok := n.get(key); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// Label returns the owner in the value of a key, or "".
func (n *Node) Label(key string) string {
	if parts := strings.SplitN(n.Get(key), ":", 3); len(parts) == 3 {
		return parts[2]
	}
	return ""
}

// Published is how many messages were published on a channel.
func (n *Node) Published(channel string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.published[channel]
}

// TTL returns how long a key still lives, or 0.
func (n *Node) TTL(key string) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e, ok := n.get(key); ok {
		return time.Until(e.expires)
	}
	return 0
}

// Log returns the commands that took effect, oldest first.
func (n *Node) Log() []Command {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Command(nil), n.log...)
}

// Count returns how many commands did the given thing.
func (n *Node) Count(does string) int {
	count := 0
	for _, c := range n.Log() {
		if c.Does == does {
			count++
		}
	}
	return count
}

// Calls returns how many calls of Do have not returned.
func (n *Node) Calls() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls
}

// Refused returns how many connections were refused.
func (n *Node) Refused() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.refused
}
