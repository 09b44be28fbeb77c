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

	opens time.Duration // how long nothing is read from it, see DelayDials; used by Read only
	mute  bool          // an answer was dropped on it; miniredis writes one at a time
	found bool          // by connOf

	// run.mu protects these.
	opening bool // nothing is read yet
	busy    bool // from the start of a command until its answer is written
	cut     bool // CloseIdle closed it: later commands are not executed
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

// Write sends an answer, or drops it.
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

// connOf returns the connection of a peer that has answered nothing yet; r.mu is held.
// miniredis does not offer it. So a byte is written, and Flush calls Write of the connection on
// this goroutine. Write keeps that byte: it is the first one on each connection.
func (r *run) connOf(c *server.Peer) *served {
	c.WriteRaw(" ")
	c.Flush()
	return r.foundConn
}

// begin records that a command has started. It returns false if CloseIdle closed the
// connection before.
func (r *run) begin(p *peer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.conn.busy = !p.conn.cut
	return p.conn.busy
}

// end sends the answer and makes the connection idle. An answer of at most 4 KiB cannot be read
// before the connection is idle.
func (r *run) end(c *server.Peer, p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Flush()
	p.conn.busy = false
}

// cutIdle returns the idle connections. Later commands on them are not executed.
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

// CloseIdle closes the idle connections, as a server or a balancer does after a timeout, and
// returns their number. Subscribed connections count as idle. A connection is not idle while a
// command on it is delayed, frozen, or waits for another client (BLPOP), or while DelayDials
// delays it.
//
// The client is not told. The next command on such a connection, and one that is on its way
// already, is not executed, and fails with EOF or a reset. New connections are accepted. Over
// TCP some clients check a connection before they use it, and notice that it was closed. In
// memory they cannot.
func (n *Node) CloseIdle() int {
	n.running.RLock()
	r := n.run
	n.running.RUnlock()
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
