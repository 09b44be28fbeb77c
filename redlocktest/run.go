package redlocktest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/alicebob/miniredis/v2/server"
)

// run is the time between a start and a stop of a node, like one process of a real server.
type run struct {
	node   *Node
	server *server.Server
	id     string        // the run id in INFO
	over   chan struct{} // closed when it ends

	mu        sync.Mutex // protects the fields below, and those of connections that name it
	peers     map[*server.Peer]*peer
	conns     map[*served]struct{}
	foundConn *served // see connOf
}

// peer is the state of a connection. It belongs to the goroutine that executes the
// connection's commands.
type peer struct {
	conn      *served
	executing bool // the command has passed the faults
	mute      bool // a request was dropped on it, so later ones are dropped as well
}

// newRun makes a server over the node's data. miniredis makes one without a
// listener in its Dial, whose connection is not needed.
func newRun(n *Node) (*run, error) {
	// Close ended this context, and commands that block would end at once.
	n.store.Ctx, n.store.CtxCancel = context.WithCancel(context.Background())
	conn, err := n.store.Dial()
	if err != nil {
		return nil, fmt.Errorf("redlocktest: start a server: %w", err)
	}
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("redlocktest: start a server: %w", err)
	}
	r := &run{
		node:   n,
		server: n.store.Server(),
		id:     fmt.Sprintf("%040x", rand.Uint64()),
		over:   make(chan struct{}),
		peers:  map[*server.Peer]*peer{},
		conns:  map[*served]struct{}{},
	}
	r.server.SetPreHook(r.around)
	r.flushScripts() // the script cache of a new server is empty
	return r, nil
}

// around is miniredis's hook, called before a command. It applies the faults and then executes
// the command itself, by Dispatch. Dispatch calls around again, which lets the command pass. So
// around knows when the command is done; a hook that is only called before does not. It returns
// true, so that miniredis does not execute the command again.
func (r *run) around(c *server.Peer, name string, args ...string) bool {
	p := r.peer(c)
	if p == nil && r.refusesWrite(name) { // running is held by the command that runs the script
		c.WriteError(readOnly)
		return true
	}
	if p == nil || p.executing {
		return r.inform(c, name, args)
	}
	if !r.begin(p) {
		return true
	}
	defer r.end(c, p)
	r.pass(c, p, name, func() {
		p.executing = true
		defer func() { p.executing = false }()
		r.server.Dispatch(c, append([]string{name}, args...))
	})
	return true
}

// inform answers INFO server, which miniredis lacks, with the run id: locks with a restart
// guard read it. It reports whether that was the command.
func (r *run) inform(c *server.Peer, name string, args []string) bool {
	if name != "INFO" || len(args) != 1 || args[0] != "server" {
		return false
	}
	c.WriteBulk("# Server\r\nrun_id:" + r.id + "\r\n")
	return true
}

// peer returns the connection on which a command came, or nil for a command inside a script.
// miniredis gives a command inside a script a context of its own before it calls the hook; the
// context of a connection is set here at its first command. That distinguishes them. A command
// inside a script must not be held: a script is atomic, and miniredis is locked while it runs.
func (r *run) peer(c *server.Peer) *peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[c]
	if p == nil && c.Ctx == nil {
		p = &peer{conn: r.connOf(c)}
		r.peers[c] = p
		c.OnDisconnect(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.peers, c)
		})
	}
	return p
}

// flushScripts empties the script cache. miniredis offers that only as a command. No fault
// applies to this one.
func (r *run) flushScripts() {
	c := server.NewPeer(bufio.NewWriter(io.Discard))
	r.mu.Lock()
	r.peers[c] = &peer{executing: true}
	r.mu.Unlock()
	r.server.Dispatch(c, []string{"SCRIPT", "FLUSH"})
	r.mu.Lock()
	delete(r.peers, c)
	r.mu.Unlock()
}
