package node

// work makes calls, one after the other, and then waits for more.
func (n *Node) work(c *Call) {
	var w worker
	for c != nil {
		n.converse(c)
		if c = n.nextCall(&w); c == nil && w != nil {
			c = <-w // parked; nil when it is to end
		}
	}
}

// nextCall returns a call from the queue. If there is none it parks the worker,
// or sets it to nil to end it.
func (n *Node) nextCall(w *worker) *Call {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.dequeue(); c != nil {
		return c
	}
	n.workers--
	*w = n.parked.put(*w)
	return nil
}

// converse puts the request to the server in the best form that it takes, and finishes
// the call, unless it is to be sent again later.
func (n *Node) converse(c *Call) {
	r := c.Request
	for f := n.form(r); ; {
		reply, err := n.pool.Do(c.Deadline, r.command(f)...)
		next, again := n.learn(r, f, err)
		if !again && connectionEnded(err) {
			now, later := n.resend(c, err)
			if later {
				return
			}
			again, next = now, n.form(r)
		}
		if !again {
			n.finish(c, r.answer(reply, err))
			return
		}
		f = next
	}
}

// submit does the same with a client that calls back.
func (n *Node) submit(c *Call) {
	c.node, c.form = n, n.form(c.Request)
	n.submitter.Submit(c.Deadline, c, c.Request.command(c.form)...)
}

// Receive implements pool.Receiver.
func (c *Call) Receive(reply any, err error) {
	n, r := c.node, c.Request
	next, again := n.learn(r, c.form, err)
	if !again && connectionEnded(err) {
		now, later := n.resend(c, err)
		if later {
			n.backfill()
			return
		}
		again, next = now, n.form(r)
	}
	if !again {
		n.finish(c, r.answer(reply, err))
		return
	}
	c.form = next
	n.submitter.Submit(c.Deadline, c, r.command(next)...)
}

// form chooses how to put a request of the verb. A script that this node has
// not seen yet goes out as text, which loads it: asking by the hash first would
// cost a round trip to hear that it is unknown.
func (n *Node) form(r *Request) form {
	switch {
	case r.Verb == ping, r.preferred() == native && !n.noNative.Load(): // a ping is no script
		return native
	case n.loaded[r.script()].Load():
		return evalsha
	}
	return eval
}

// learn notes what a reply says about the server, and chooses the form to try
// next if it was a refusal of the form. That ends: forms only get more verbose.
func (n *Node) learn(r *Request, f form, err error) (next form, again bool) {
	switch {
	case err == nil:
		if f == eval {
			n.loaded[r.script()].Store(true)
		}
	case f == native && refusesNative(err):
		n.noNative.Store(true)
		return n.form(r), true
	case f == evalsha && notLoaded(err):
		// The server is not the one that the script was loaded into: restarted,
		// failed over, upgraded, flushed. Whatever else was learned about it is
		// forgotten with the script.
		n.noNative.Store(false)
		for i := range n.loaded {
			n.loaded[i].Store(false)
		}
		return eval, true
	}
	return f, false
}
