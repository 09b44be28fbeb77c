package main

import (
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A fair acquire was given up, and arrives after a plain acquire retook the node. It finds its
// own value, and no wait queue.
func TestFairAcquireThatArrivesLateLeavesNoKeyWithoutAnEnd(t *testing.T) {
	for name, lua := range map[string]*interpreter{"model": nil, "script": newInterpreter()} {
		model := newModelPool()
		model.lua = lua
		n := node.New(model)
		t.Cleanup(n.Stop)
		lease := node.NewEntry("job", "value")
		ask(t, n, query{verb: node.Acquire, lease: lease, ttl: time.Hour})
		ask(t, n, query{verb: node.AcquireInTurn, lease: lease, ttl: time.Hour,
			flag: node.WaiterFlag{ID: "me", TTL: time.Hour, Position: node.QueuePosition{Ticket: 1, Last: 1, Count: 1, TTL: time.Hour}}})
		for key, e := range model.store.keys {
			if e.ends == 0 {
				t.Errorf("%s: %s is there for ever", name, key)
			}
		}
		if len(model.store.keys) == 0 {
			t.Errorf("%s: nothing was done", name)
		}
	}
}
