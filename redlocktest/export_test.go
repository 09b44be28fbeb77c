package redlocktest

// Busy is how many connections have a command that is not done.
func (n *Node) Busy() (busy int) {
	n.running.RLock()
	defer n.running.RUnlock()
	n.run.mu.Lock()
	defer n.run.mu.Unlock()
	for c := range n.run.conns {
		if c.busy {
			busy++
		}
	}
	return busy
}
