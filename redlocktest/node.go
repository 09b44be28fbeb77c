package redlocktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Node is one in-memory master and the network path to it. It is safe for concurrent use.
type Node struct {
	t        TB // nil for Start
	listener listener
	store    *miniredis.Miniredis // the data; its server is that of the current run

	// lifecycle orders Stop, Start and Close. It is held while connections end. What a connection
	// waits for is then closed or cut, so that takes no (virtual) time.
	lifecycle sync.Mutex
	closed    bool

	// running is held for reading while a command is executed and for writing
	// while a fault is changed: thus a fault holds from the moment at which its
	// method returned. It is never held across I/O or a wait.
	running      sync.RWMutex
	run          *run          // nil while stopped
	thawed       chan struct{} // closed by Thaw; nil unless frozen
	delay        time.Duration
	dropRequests bool
	failWith     string
	failCommand  map[string]string // error by command; its name in capitals
	demoted      bool
	dialDelay    time.Duration

	dropReplies atomic.Bool // read where an answer is written, not where a command is executed

	clock    clock
	counters counters
}

func newNode(t TB, number int, listen listenFunc) (*Node, error) {
	n := &Node{t: t, store: miniredis.NewMiniRedis(), failCommand: map[string]string{}}
	n.counters.changed = make(chan struct{})
	n.store.ClockTTL(true)
	l, err := listen(number, n.serve)
	if err != nil {
		return nil, err
	}
	n.listener = l
	if err := n.boot(false); err != nil {
		l.close()
		return nil, err
	}
	return n, nil
}

// Addr returns host and port, with an IP address as host. In-memory addresses are not real:
// they are from 192.0.2.0/24, which is reserved for documentation, and only Dial reaches them.
func (n *Node) Addr() string { return n.listener.addr() }

// Dial connects to this node, in both modes. It ignores network and addr. Use it as go-redis's
// Options.Dialer or redigo's DialContextFunc. If the node is stopped, the error matches
// syscall.ECONNREFUSED.
func (n *Node) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := n.listener.dial(ctx)
	if errors.Is(err, syscall.ECONNREFUSED) {
		n.count(func(s *Stats) { s.Refused++ })
	}
	return conn, err
}

// Stop ends the node as SIGKILL ends a server. Connections are cut, new ones are refused, and
// commands that were held or delayed never take effect. It returns when no goroutine or socket
// of the node is left. Start finds the data again. Stopping a stopped node does nothing.
func (n *Node) Stop() {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	n.halt()
}

// Start starts a stopped node on the same address with its data, like a server that persists
// everything. Its script cache is empty, as after every start of a server. Keys that expired
// meanwhile are gone. Starting a running node does nothing.
//
// An error means that another process took the port: on Linux only one that was told to use it,
// since a stopped node keeps its port reserved. With a cluster of New it fails the test as well,
// so call Start from the test's goroutine.
func (n *Node) Start() error { return n.start(false) }

// StartEmpty starts the node without its data, like a server without persistence. It stops a
// running node first. It returns an error as Start does.
func (n *Node) StartEmpty() error { return n.start(true) }

func (n *Node) start(empty bool) error {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	var err error
	switch {
	case n.closed:
		err = fmt.Errorf("redlocktest: start %s: its cluster was closed", n.Addr())
	case empty:
		n.halt()
		err = n.boot(true)
	case n.run == nil:
		err = n.boot(false)
	}
	if err != nil && n.t != nil {
		n.t.Helper()
		n.t.Fatalf("%v", err)
	}
	return err
}

func (n *Node) close() {
	n.lifecycle.Lock()
	defer n.lifecycle.Unlock()
	n.halt()
	n.listener.close()
	n.closed = true
}

// boot makes a run and opens the listener for it.
func (n *Node) boot(empty bool) error {
	r, err := newRun(n)
	if err != nil {
		return err
	}
	if empty {
		n.store.FlushAll()
	}
	n.running.Lock()
	n.run = r
	n.running.Unlock()
	if err := n.listener.open(); err != nil {
		n.halt()
		return fmt.Errorf("redlocktest: start %s: %w", n.Addr(), err)
	}
	return nil
}

// halt ends the current run, if there is one.
func (n *Node) halt() {
	n.running.Lock()
	r := n.run
	n.run = nil
	n.thawed = nil // held commands end with the run
	n.running.Unlock()
	if r == nil {
		return
	}
	close(r.over)
	n.listener.shut()
	n.store.Close() // cuts connections and waits for their goroutines
	n.listener.wait()
}

// serve takes a new connection. It returns false if the node is stopped.
func (n *Node) serve(conn net.Conn) bool {
	n.running.RLock()
	defer n.running.RUnlock()
	if n.run == nil {
		return false
	}
	n.run.take(conn, n.dialDelay)
	return true
}
