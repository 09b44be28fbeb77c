package fakenode

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

const (
	marker     = "redlock:node"
	quarantine = "redlock:quarantine"
)

// guard returns why the server grants no locks, or nil.
func (n *Node) guard(s lua.Guard) error {
	e, _ := n.get(marker)
	known, agreed, found := strings.Cut(e.value, " ")
	if found && agreed != s.Settings {
		return pool.Error(fmt.Sprintf("GUARDMISMATCH others lock here with (nodes, longest TTL, quarantine in ms) = (%s), this client has (%s)", agreed, s.Settings))
	}
	if run := fmt.Sprintf("%x", n.starts); known != run {
		n.set(quarantine, run, s.Quarantine)
		n.keys[marker] = entry{value: run + " " + s.Settings}
	}
	if e, there := n.get(quarantine); there {
		return pool.Error(fmt.Sprintf("GUARDQUARANTINE this server may have forgotten locks, and grants none for another %d ms", time.Until(e.expires).Milliseconds()))
	}
	return nil
}
