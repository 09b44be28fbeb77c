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

// Cluster is a set of independent in-memory masters: the nodes know nothing of
// each other. It is safe for concurrent use.
type Cluster struct {
	nodes []*Node
}

// maxNodes is what fits into the last byte of an in-memory address.
const maxNodes = 254

// New starts n nodes on TCP sockets of the loopback interface, which end with
// the test. n is at least 1 and at most 254.
func New(t TB, n int) *Cluster {
	t.Helper()
	return forTest(t, n, listenTCP)
}

// NewInMemory starts n nodes without sockets, for a [testing/synctest] bubble;
// it must be called inside the bubble and the nodes end with it. Connect with
// [Node.Dial] or [Cluster.Dial]. n is at least 1 and at most 254.
func NewInMemory(t TB, n int) *Cluster {
	t.Helper()
	return forTest(t, n, listenInMemory)
}

// Start is [New] for a program that is no test. End it with [Cluster.Close]. The error
// is about n, or a port that could not be had.
func Start(n int) (*Cluster, error) {
	return start(nil, n, listenTCP)
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

// Close stops all nodes for good and returns when nothing of them is left
// running. It may be called again. Nodes of New and NewInMemory are closed when
// the test ends.
func (c *Cluster) Close() {
	for _, n := range c.nodes {
		n.close()
	}
}

// Len returns the number of nodes.
func (c *Cluster) Len() int { return len(c.nodes) }

// Node returns node i, counted from 0. It panics if there is none.
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

// Dial connects to the node whose address is addr, in both modes. Its form is
// that of go-redis's Options.Dialer and redigo's DialContextFunc.
func (c *Cluster) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	for _, n := range c.nodes {
		if n.Addr() == addr {
			return n.Dial(ctx, network, addr)
		}
	}
	return nil, fmt.Errorf("redlocktest: dial %s: no node of this cluster has this address", addr)
}

// Advance lets time pass on every node, see [Node.Advance].
func (c *Cluster) Advance(d time.Duration) {
	for _, n := range c.nodes {
		n.Advance(d)
	}
}
