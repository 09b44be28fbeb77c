package redlocktest

import (
	"testing"

	"github.com/quorumlock/quorumlock/internal/port"
)

func TestAStoppedNodeKeepsItsPortUntilItsClusterIsClosed(t *testing.T) {
	c, err := Start(2)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, n := range c.Nodes() {
		n.Stop()
		if port.IsFree(n.Addr()) {
			t.Errorf("%s of a stopped node is free", n.Addr())
		}
		if err := n.Start(); err != nil {
			t.Error(err)
		}
	}
	c.Close()
	for _, addr := range c.Addrs() {
		if !port.IsFree(addr) {
			t.Errorf("%s of a closed cluster is taken", addr)
		}
	}
}
