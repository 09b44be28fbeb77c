package redlocktest

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/port"
)

// tcp is a listener with a socket. Each connection is copied to and from one in memory, so that
// both modes are the same for the node: a frozen node receives data, and a client that does not
// read blocks no other.
type tcp struct {
	address string
	serve   func(net.Conn) bool
	release func() // of the port

	mu    sync.Mutex // protects what follows
	l     net.Listener
	conns map[net.Conn]struct{} // nil while shut

	copying sync.WaitGroup
}

// listenTCP reserves a port and always uses that port.
func listenTCP(_ int, serve func(net.Conn) bool) (listener, error) {
	reserved, err := port.Reserve()
	if err != nil {
		return nil, fmt.Errorf("redlocktest: %w", err)
	}
	t := &tcp{address: reserved.Addr(), serve: serve, release: reserved.Release}
	if err := t.listen(); err != nil {
		reserved.Release()
		return nil, fmt.Errorf("redlocktest: %w", err)
	}
	return t, nil
}

// listenAt uses a port that was chosen.
func listenAt(port int, serve func(net.Conn) bool) (listener, error) {
	t := &tcp{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), serve: serve, release: func() {}}
	if err := t.listen(); err != nil {
		return nil, fmt.Errorf("redlocktest: %w", err)
	}
	return t, nil
}

func (t *tcp) addr() string { return t.address }

func (t *tcp) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", t.address)
}

// listen takes the port, without accepting yet.
func (t *tcp) listen() error {
	l, err := net.Listen("tcp", t.address)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.l = l
	t.conns = map[net.Conn]struct{}{}
	return nil
}

func (t *tcp) open() error {
	l := t.listening()
	if l == nil {
		if err := t.listen(); err != nil {
			return err
		}
		l = t.listening()
	}
	t.copying.Go(func() { // ends when shut closes l
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.take(conn)
		}
	})
	return nil
}

func (t *tcp) listening() net.Listener {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.l
}

// take copies the connection to the node, in two goroutines. They end when the
// client or the node closes it, or shut does.
func (t *tcp) take(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conns == nil {
		conn.Close()
		return
	}
	near, far := pipe(conn.RemoteAddr(), conn.LocalAddr())
	closed := make(chan struct{})
	if !t.serve(&tcpEnd{memConn: far, out: conn, closed: closed}) {
		conn.Close()
		return
	}
	t.conns[conn] = struct{}{}
	t.copying.Go(func() {
		_, _ = io.Copy(near, conn)
		_ = near.CloseWrite() // the node executes the rest, then closes its end
	})
	t.copying.Go(func() {
		_, _ = io.Copy(conn, near)
		_ = conn.Close()
		_ = near.Close()
		close(closed)
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.conns, conn)
	})
}

// tcpEnd is the node's end of a connection with a socket.
type tcpEnd struct {
	*memConn
	out    net.Conn
	closed chan struct{} // closed when out is
}

// awaitClosed returns when the client of a connection that the node has closed can notice it:
// when all earlier answers are sent. A client that does not read delays that by at most a
// second.
func (e *tcpEnd) awaitClosed() {
	_ = e.out.SetWriteDeadline(time.Now().Add(time.Second))
	<-e.closed
}

func (t *tcp) shut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.l != nil {
		_ = t.l.Close()
		t.l = nil
	}
	for conn := range t.conns {
		_ = conn.Close()
	}
	t.conns = nil
}

func (t *tcp) wait() { t.copying.Wait() }

func (t *tcp) close() {
	t.shut()
	t.release()
}
