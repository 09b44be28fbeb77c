package node

import "slices"

// maxWorkers bounds the calls that are with the client at once, and so the goroutines per node.
// Client pools rarely have more connections. Further calls wait in a queue, without a
// goroutine, until their deadline.
const maxWorkers = 128

// maxWithSubmitter bounds the calls that are with a client that queues by itself. It is more
// than a node that answers needs to be busy, and more than a node that has just frozen gets
// before the first deadline has come.
const maxWithSubmitter = 1024

// launch hands a call to a worker. If the client needs none, it reports whether to submit the
// call. n.mu is held.
func (n *Node) launch(c *Call) (submit bool) {
	n.inFlight.add(c)
	return n.dispatch(c, false)
}

// dispatch is launch for a call that is in flight already. A call that was sent before goes to
// the front of the queue. n.mu is held.
func (n *Node) dispatch(c *Call, again bool) (submit bool) {
	full := n.workers == maxWorkers
	if n.submitter != nil {
		full = n.withSubmitter >= maxWithSubmitter && c != n.breaker.probe
	}
	switch {
	case full && again:
		c.state = queued
		n.queue = slices.Insert(n.queue, 0, c)
		return false
	case full:
		n.queue = append(n.queue, c)
		return false
	case n.submitter != nil:
		n.withSubmitter++
		c.state = sent
		return true
	}
	n.workers++
	c.state = sent
	if w := n.idle.take(); w != nil {
		w <- c
		return false
	}
	go n.work(c) // ends when it finds no more calls and there are enough idle workers
	return false
}

// backfill submits a call in place of one that is paused.
func (n *Node) backfill() {
	n.mu.Lock()
	due := n.returned()
	n.mu.Unlock()
	if due != nil {
		n.submit(due)
	}
}

// returned notes that the submitter returned a call, and returns the next queued call that it
// may have now, if there is one. n.mu is held.
func (n *Node) returned() (due *Call) {
	if n.submitter == nil {
		return nil
	}
	if due = n.dequeue(); due == nil {
		n.withSubmitter--
	}
	return due
}

// rejectQueued takes the calls out of the queue if the breaker has opened: they were admitted
// before, but would only add to what the node holds. Calls that were sent before, and are to be
// sent again, stay: they have left something there already. n.mu is held.
func (n *Node) rejectQueued() (refused []*Call) {
	if len(n.queue) == 0 || !n.breaker.isOpen() {
		return nil
	}
	var stay []*Call
	for _, c := range n.queue {
		if c.sentBefore {
			stay = append(stay, c)
			continue
		}
		n.inFlight.remove(c)
		n.breaker.neverSent(c)
		c.state = done
		refused = append(refused, c)
	}
	n.queue = stay
	return refused
}

func (n *Node) dequeue() *Call {
	if len(n.queue) == 0 {
		n.queue = nil // free the array that was sliced away
		return nil
	}
	c := n.queue[0]
	n.queue[0] = nil
	n.queue = n.queue[1:]
	c.state = sent
	return c
}
