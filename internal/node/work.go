package node

// work makes calls, one after the other, and then waits for more.
func (n *Node) work(c *Call) {
	var w worker
	for c != nil {
		n.converse(c)
		if c = n.nextCall(&w); c == nil && w != nil {
			c = <-w // idle; nil when it is to end
		}
	}
}

// nextCall returns a call from the queue. If there is none it makes the worker idle, or sets it
// to nil to end it.
func (n *Node) nextCall(w *worker) *Call {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.dequeue(); c != nil {
		return c
	}
	n.workers--
	*w = n.idle.add(*w)
	return nil
}

// converse puts the request to the server in the best form that it takes, and finishes
// the call, unless it is to be sent again later.
func (n *Node) converse(c *Call) {
	for s := n.begin(c.Request); ; {
		reply, err := n.pool.Do(c.Deadline, s.request.command(s.form)...)
		next, a, again := n.next(c, s, reply, err)
		if !again && connectionEnded(err) {
			now, later := n.resend(c, s, err)
			if later {
				return
			}
			again, next = now, n.begin(c.Request)
		}
		if !again {
			n.finish(c, a)
			return
		}
		s = next
	}
}

// submit does the same with a client that calls back.
func (n *Node) submit(c *Call) {
	c.node, c.step = n, n.begin(c.Request)
	n.submitter.Submit(c.Deadline, c, c.step.request.command(c.step.form)...)
}

// Receive implements pool.Receiver.
func (c *Call) Receive(reply any, err error) {
	n := c.node
	next, a, again := n.next(c, c.step, reply, err)
	if !again && connectionEnded(err) {
		now, later := n.resend(c, c.step, err)
		if later {
			n.backfill()
			return
		}
		again, next = now, n.begin(c.Request)
	}
	if !again {
		n.finish(c, a)
		return
	}
	c.step = next
	n.submitter.Submit(c.Deadline, c, next.request.command(next.form)...)
}
