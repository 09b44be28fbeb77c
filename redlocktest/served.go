package redlocktest

import (
	"net"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// served is the server's end of a connection.
type served struct {
	net.Conn
	run *run

	opens time.Duration // how long nothing is read from it, see DelayDials; read by Read alone
	mute  bool          // an answer was lost on it; miniredis writes one at a time
	found bool          // by peer, with what it writes first

	// run.mu protects these.
	opening bool // nothing is read yet
	busy    bool // a command on it is under way, until its answer is written
	cut     bool // CloseIdle closed it: nothing that comes is executed
}

// take serves a new connection, which opens after d.
func (r *run) take(conn net.Conn, d time.Duration) {
	c := &served{Conn: conn, run: r, opens: d, opening: d > 0}
	r.mu.Lock()
	r.conns[c] = struct{}{}
	r.mu.Unlock()
	r.server.ServeConn(c)
}

// Read waits first until the connection opens, or the run ends.
func (c *served) Read(b []byte) (int, error) {
	if c.opens > 0 {
		c.run.node.count(func(s *Stats) { s.DelayedDials++ })
		timer := time.NewTimer(c.opens)
		select {
		case <-timer.C:
		case <-c.run.over:
			timer.Stop()
		}
		c.opens = 0
		c.run.mu.Lock()
		c.opening = false
		c.run.mu.Unlock()
	}
	return c.Conn.Read(b)
}

// Write sends an answer, or loses it.
func (c *served) Write(b []byte) (int, error) {
	if !c.found {
		c.found = true
		c.run.foundConn = c
		return len(b), nil
	}
	if c.mute || c.run.node.dropReplies.Load() {
		c.mute = true
		c.run.node.count(func(s *Stats) { s.DroppedReplies++ })
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *served) Close() error {
	c.run.mu.Lock()
	delete(c.run.conns, c)
	c.run.mu.Unlock()
	return c.Conn.Close()
}

// connOf returns the connection behind a peer that has answered nothing yet; r.mu
// is held. miniredis does not say which it is, so a byte is written, which Write
// keeps: it is the first on each connection, and Flush calls Write on this goroutine.
func (r *run) connOf(c *server.Peer) *served {
	c.WriteRaw(" ")
	c.Flush()
	return r.foundConn
}

// begin notes that a command is under way, and returns false if its connection
// was closed before it came.
func (r *run) begin(p *peer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.conn.busy = !p.conn.cut
	return p.conn.busy
}

// end sends the answer, which takes no time: an answer of at most 4 KiB can be read
// no sooner than the connection is idle.
func (r *run) end(c *server.Peer, p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Flush()
	p.conn.busy = false
}

// cutIdle makes sure that nothing which comes on the idle connections is executed,
// and returns them.
func (r *run) cutIdle() []*served {
	r.mu.Lock()
	defer r.mu.Unlock()
	var idle []*served
	for c := range r.conns {
		if !c.busy && !c.opening && !c.cut {
			c.cut = true
			idle = append(idle, c)
		}
	}
	return idle
}

// CloseIdle closes the connections on which nothing is under way, as a server or
// a balancer does that thinks them idle for too long, and returns how many it
// closed. Connections that listen (SUBSCRIBE) are among them. Those whose command is
// delayed, held by a freeze or waits for another client (BLPOP) stay, and so do
// those that DelayDials keeps from opening.
//
// The client is not told: the next command on such a connection meets its end (EOF,
// or a reset) and is not executed, and neither is one that was on its way. New
// connections are taken as ever. Over TCP some clients look at a connection
// before they use it, and find out; in memory they cannot.
func (n *Node) CloseIdle() int {
	n.gate.RLock()
	r := n.run
	n.gate.RUnlock()
	if r == nil {
		return 0
	}
	idle := r.cutIdle()
	for _, c := range idle {
		_ = c.Close()
		if out, ok := c.Conn.(interface{ awaitClosed() }); ok {
			out.awaitClosed()
		}
	}
	n.count(func(s *Stats) { s.ClosedIdle += len(idle) })
	return len(idle)
}
