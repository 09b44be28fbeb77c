package node

import (
	"fmt"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

const (
	markerKey     = "redlock:node"
	quarantineKey = "redlock:quarantine"
)

// A Guard says how nodes that may have forgotten locks are kept from granting any: see
// guard.lua. The zero Guard does nothing.
type Guard struct {
	Nodes      int
	Longest    time.Duration // TTL of all locks
	Quarantine time.Duration // how long a forgotten lock may still be held
}

// Settings are what all clients of a node must have in common, as its marker has them.
func (g Guard) Settings() string {
	return fmt.Sprintf("%d %d %d", g.Nodes, millis(g.Longest), millis(g.Quarantine))
}

// Scripts returns the scripts with this guard, or without one.
func (g Guard) Scripts() *Scripts {
	if g == (Guard{}) {
		return unguarded
	}
	return newScripts(&lua.Guard{Quarantine: millis(g.Quarantine), Settings: g.Settings()})
}

// A Marker is what guards have left on a node. The zero Marker is that of a node where no guard
// was used, or which lost its marker.
type Marker struct {
	RunID    string        // of the server, when a lock was last asked for
	Settings string        // of the clients that lock there
	Left     time.Duration // for how long it grants no locks; negative if for ever
}

// marker asks for the marker, even without a guard: other clients may have one.
func (x *examination) marker() (m Marker, err error) {
	reply, err := x.ask("GET", markerKey)
	if err != nil {
		return m, err
	}
	text, _ := reply.(string)
	run, settings, ok := strings.Cut(text, " ")
	if ok && run != "" && strings.Trim(run, "0123456789abcdefABCDEF") == "" { // guard.lua takes nothing else for one
		m.RunID, m.Settings = run, word(settings)
	}
	if reply, err = x.ask("PTTL", quarantineKey); err != nil {
		return m, err
	}
	left, ok := reply.(int64)
	switch {
	case !ok:
		return m, fmt.Errorf("unexpected reply %T to PTTL", reply)
	case left == lua.Free:
	case left < 0, left > longest:
		m.Left = -1
	default:
		m.Left = time.Duration(max(left, 1)) * time.Millisecond
	}
	return m, nil
}
