package redlocktest

import (
	"context"
	"fmt"
	"net"
	"time"
)

// TB is the part of [testing.TB] that the kit needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Cluster is a set of independent in-memory masters: no node knows another one. It is safe
// for concurrent use.
type Cluster struct {
	nodes []*Node
}

// maxNodes fits into the last byte of an in-memory address.
const maxNodes = 254

// New starts n nodes on TCP sockets of the loopback interface. They end with the test. n is 1
// to 254; otherwise the test fails.
func New(t TB, n int) *Cluster {
	t.Helper()
	return forTest(t, n, listenTCP)
}

// NewInMemory starts n nodes without sockets, for a [testing/synctest] bubble. Call it inside
// the bubble; the nodes end with it. Connect with [Node.Dial] or [Cluster.Dial]. n is 1 to 254;
// otherwise the test fails.
func NewInMemory(t TB, n int) *Cluster {
	t.Helper()
	return forTest(t, n, listenInMemory)
}

// Start is [New] for a program that is not a test. End the nodes with [Cluster.Close]. It
// returns an error if n is not 1 to 254, or if a port is not available.
func Start(n int) (*Cluster, error) {
	return start(nil, n, listenTCP)
}

// StartAt is [Start] on ports that others can know: node i, counted from 0, listens on port+i of
// the loopback interface. It returns an error if one of them is taken, or is none.
func StartAt(port, n int) (*Cluster, error) {
	return start(nil, n, func(i int, serve func(net.Conn) bool) (listener, error) {
		return listenAt(port+i, serve)
	})
}

func forTest(t TB, n int, listen listenFunc) *Cluster {
	t.Helper()
	c, err := start(t, n, listen)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func start(t TB, n int, listen listenFunc) (*Cluster, error) {
	if n < 1 || n > maxNodes {
		return nil, fmt.Errorf("redlocktest: %d nodes: want 1 to %d", n, maxNodes)
	}
	c := &Cluster{}
	for i := range n {
		node, err := newNode(t, i, listen)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.nodes = append(c.nodes, node)
	}
	return c, nil
}

// Close stops all nodes for good and returns when no goroutine or socket of them is left. It may
// be called again. Nodes of New and NewInMemory are closed when the test ends.
func (c *Cluster) Close() {
	for _, n := range c.nodes {
		n.close()
	}
}

// Len returns the number of nodes.
func (c *Cluster) Len() int { return len(c.nodes) }

// Node returns node i, counted from 0. It panics if there is no such node.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// Nodes returns all nodes, in the order of their numbers.
func (c *Cluster) Nodes() []*Node { return append([]*Node(nil), c.nodes...) }

// Addrs returns the addresses of all nodes, in the order of their numbers.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addrs[i] = n.Addr()
	}
	return addrs
}

// Dial connects to the node whose address is addr, in both modes. It can be used as go-redis's
// Options.Dialer and redigo's DialContextFunc. It returns an error if no node has the address.
func (c *Cluster) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	for _, n := range c.nodes {
		if n.Addr() == addr {
			return n.Dial(ctx, network, addr)
		}
	}
	return nil, fmt.Errorf("redlocktest: dial %s: no node of this cluster has this address", addr)
}

// Advance is [Node.Advance] on every node.
func (c *Cluster) Advance(d time.Duration) {
	for _, n := range c.nodes {
		n.Advance(d)
	}
}
