package redlocktest

import (
	"context"
	"net"
	"syscall"
	"testing"
)

// isFree reports whether a port is free for a socket that shares it with no other.
func isFree(addr string) bool {
	alone := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		outer := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
		})
		if outer != nil {
			return outer
		}
		return err
	}}
	l, err := alone.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func TestAStoppedNodeKeepsItsPortUntilItsClusterIsClosed(t *testing.T) {
	c, err := Start(2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, n := range c.Nodes() {
		n.Stop()
		if isFree(n.Addr()) {
			t.Errorf("%s of a stopped node is free", n.Addr())
		}
		if err := n.Start(); err != nil {
			t.Error(err)
		}
	}
	c.Close()
	for _, addr := range c.Addrs() {
		if !isFree(addr) {
			t.Errorf("%s of a closed cluster is taken", addr)
		}
	}
}
