package main

import (
	"context"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A conn is a connection of a real client to a server. What the client writes is cut into
// commands, and each of them is a message like those of the other clients; replies are
// bytes that it reads. Nothing that is written waits for anything, as it is with a
// socket that has room.
type conn struct {
	link *link
	id   int // of the link

	// Of the loop of the world.
	lane      lane // messages keep their order
	mute      bool // a request was lost: nothing that comes after it arrives
	lostReply bool // nothing after it arrives
	old       bool // it leads to a server that is no master any more
	open      int  // commands without a reply
	third     bool // the client speaks the third version of the protocol
	channels  []string

	mu      sync.Mutex // protects the rest
	half    []byte     // of a command that was written
	seq     int        // of the last whole command
	unread  []byte
	closed  bool
	broken  error         // after what is unread
	by      time.Time     // when a read gives up
	changed chan struct{} // closed at the next change, nil if no read waits
}

// dial connects, as clients want it.
func (l *link) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	m := &message{link: l, args: []any{"CONNECT"}, conn: &conn{link: l}, reply: make(chan result, 1)}
	if !l.net.send(m) {
		return nil, errDead
	}
	select {
	case r := <-m.reply:
		if r.err != nil {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: r.err}
		}
		return m.conn, nil
	case <-ctx.Done():
		m.conn.Close()
		return nil, ctx.Err()
	}
}

func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if c.closed || c.broken != nil {
		c.mu.Unlock()
		return 0, syscall.EPIPE
	}
	c.half = append(c.half, b...)
	var due []*message
	for {
		args, rest, err := cutCommand(c.half)
		if err != nil {
			c.mu.Unlock()
			return 0, err
		}
		if args == nil {
			break
		}
		c.half = rest
		c.seq++
		due = append(due, &message{link: c.link, args: args, conn: c, order: c.seq})
	}
	c.mu.Unlock()
	for _, m := range due {
		c.link.net.send(m)
	}
	return len(b), nil
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		c.mu.Lock()
		switch {
		case c.closed:
			c.mu.Unlock()
			return 0, net.ErrClosed
		case !c.by.IsZero() && !time.Now().Before(c.by):
			c.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		case len(c.unread) > 0:
			n := copy(b, c.unread)
			c.unread = c.unread[n:]
			c.mu.Unlock()
			return n, nil
		case c.broken != nil:
			err := c.broken
			c.mu.Unlock()
			return 0, err
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed, by := c.changed, c.by
		c.mu.Unlock()
		await(changed, by)
	}
}

// await waits for a change, but not longer than until then.
func await(changed chan struct{}, by time.Time) {
	if by.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(by))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

// change changes something that a read may wait for.
func (c *conn) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// Close reaches the server when the server next sends something.
func (c *conn) Close() error {
	c.change(func() { c.closed = true })
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.change(func() { c.by = t })
	return nil
}

func (c *conn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
func (c *conn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 0)} }
func (c *conn) RemoteAddr() net.Addr             { return c.link.address() }

// receive lets the client read a reply, or find the connection broken.
func (c *conn) receive(r result) {
	if r.err != nil {
		if refused, ok := r.err.(pool.Error); ok {
			r.reply = refused
		} else {
			c.change(func() { c.broken = syscall.ECONNRESET })
			return
		}
	}
	if !c.lostReply {
		c.change(func() { c.unread = appendReply(c.unread, r.reply, c.third) })
	}
}

func (c *conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed || c.broken != nil
}

// obey is what a server does with a command that is about the connection; ok is false
// if it is about something else.
func (c *conn) obey(m *message) (reply any, ok bool) {
	server := c.link.server
	switch m.args[0] {
	case "CONNECT":
		server.conns = append(slices.DeleteFunc(server.conns, (*conn).over), c)
		return nil, true
	case "client": // such as MAINT_NOTIFICATIONS
		return status("OK"), true
	case "hello":
		c.third = text(m.args[1]) == "3"
		return []any{"server", "redis", "version", "7.4.0", "proto", number(m.args[1]), "id", int64(c.id), "mode", "standalone", "role", "master", "modules", []any{}}, true
	case "SUBSCRIBE", "subscribe":
		channel := text(m.args[1])
		c.channels = append(c.channels, channel)
		return push{"subscribe", channel, int64(len(c.channels))}, true
	case "UNSUBSCRIBE", "unsubscribe":
		channel := text(m.args[1])
		c.channels = slices.DeleteFunc(c.channels, func(other string) bool { return other == channel })
		return push{"unsubscribe", channel, int64(len(c.channels))}, true
	case "PING", "ping":
		if len(c.channels) > 0 && !c.third {
			return push{"pong", ""}, true
		}
		return status("PONG"), true
	}
	return nil, false
}
