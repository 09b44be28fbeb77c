package redlocktest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// requestLimit is how many bytes a client can send before the server reads them. It stands for
// the buffers of a kernel: beyond it the client's writes wait.
const requestLimit = 256 << 10

// pipe returns the two ends of a connection in memory.
//
// [net.Pipe] has no buffer, so a client that does not read would block the server, unlike a real
// one. Here answers are buffered without limit, requests up to requestLimit. All waits are on
// channels: a goroutine of a synctest bubble that waits here lets virtual time pass.
func pipe(clientAddr, serverAddr net.Addr) (client, server *memConn) {
	requests, answers := &half{limit: requestLimit}, &half{}
	client = &memConn{in: answers, out: requests, local: clientAddr, remote: serverAddr}
	server = &memConn{in: requests, out: answers, local: serverAddr, remote: clientAddr}
	return client, server
}

// memConn is one end. Like a socket's, its errors are *net.OpError.
type memConn struct {
	in, out       *half
	readBy        deadline
	writeBy       deadline
	local, remote net.Addr
}

func (c *memConn) Read(b []byte) (int, error) {
	n, err := c.in.read(b, &c.readBy)
	return n, c.wrap("read", err)
}

func (c *memConn) Write(b []byte) (int, error) {
	n, err := c.out.write(b, &c.writeBy)
	return n, c.wrap("write", err)
}

// CloseWrite ends the direction to the other end.
func (c *memConn) CloseWrite() error {
	c.out.finish()
	return nil
}

// Close ends both directions. Data that was sent before can still be read at the other end: a
// server executes the commands of a client that has closed its connection.
func (c *memConn) Close() error {
	c.out.finish()
	c.in.abandon()
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

func (c *memConn) SetDeadline(t time.Time) error {
	c.readBy.set(t)
	c.writeBy.set(t)
	return nil
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.readBy.set(t)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.writeBy.set(t)
	return nil
}

func (c *memConn) wrap(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// half is one direction of a connection.
type half struct {
	limit int // of unread bytes; 0 means no limit

	mu        sync.Mutex // protects what follows; never held during a wait
	unread    bytes.Buffer
	finished  bool          // the writer closed: end of file after the unread bytes
	abandoned bool          // the reader closed
	changed   chan struct{} // closed at the next change; nil if no goroutine waits
}

func (h *half) read(b []byte, by *deadline) (int, error) {
	for {
		h.mu.Lock()
		switch {
		case h.abandoned:
			h.mu.Unlock()
			return 0, net.ErrClosed
		case by.passed():
			h.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			h.mu.Unlock()
			return 0, nil
		case h.unread.Len() > 0:
			n, _ := h.unread.Read(b)
			h.announce()
			h.mu.Unlock()
			return n, nil
		case h.finished:
			h.mu.Unlock()
			return 0, io.EOF
		}
		h.unlockAndWait(by)
	}
}

func (h *half) write(b []byte, by *deadline) (int, error) {
	written := 0
	for {
		h.mu.Lock()
		switch {
		case h.finished:
			h.mu.Unlock()
			return written, net.ErrClosed
		case by.passed():
			h.mu.Unlock()
			return written, os.ErrDeadlineExceeded
		case h.abandoned:
			h.mu.Unlock()
			return written, os.NewSyscallError("write", syscall.EPIPE)
		}
		room := len(b)
		if h.limit > 0 {
			room = min(room, h.limit-h.unread.Len())
		}
		if room > 0 {
			h.unread.Write(b[:room])
			h.announce()
			written, b = written+room, b[room:]
		}
		if len(b) == 0 {
			h.mu.Unlock()
			return written, nil
		}
		h.unlockAndWait(by)
	}
}

func (h *half) finish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.finished = true
	h.announce()
}

func (h *half) abandon() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.abandoned = true
	h.announce()
}

// announce wakes all goroutines that wait for a change; h.mu is held.
func (h *half) announce() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// unlockAndWait waits for a change or the deadline. A change of the deadline
// itself needs no wake-up here: it closes or replaces the channel that this waits for.
func (h *half) unlockAndWait(by *deadline) {
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	changed := h.changed
	h.mu.Unlock()
	select {
	case <-changed:
	case <-by.wait():
	}
}
