package fakenode

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

const (
	marker     = "redlock:node"
	quarantine = "redlock:quarantine"
)

// settings are what a guarded script says about the group of nodes.
type settings struct {
	text       string
	quarantine int64
}

// guardOf reads the settings of a script, if restarts are guarded.
func guardOf(text string) (s settings, guarded bool) {
	_, line, guarded := strings.Cut(text, "local quarantine, settings = ")
	digits, line, _ := strings.Cut(line, ", '")
	s.text, _, _ = strings.Cut(line, "'")
	s.quarantine, _ = strconv.ParseInt(digits, 10, 64)
	return s, guarded
}

// guard returns why the server grants no locks, or nil.
func (n *Node) guard(s settings) error {
	e, _ := n.get(marker)
	known, agreed, marked := strings.Cut(e.value, " ")
	if marked && agreed != s.text {
		return pool.Error(fmt.Sprintf("GUARDMISMATCH others lock here with (nodes, longest TTL, quarantine in ms) = (%s), this client has (%s)", agreed, s.text))
	}
	if run := fmt.Sprintf("%x", n.starts); known != run {
		n.set(quarantine, run, s.quarantine)
		n.keys[marker] = entry{value: run + " " + s.text}
	}
	if e, there := n.get(quarantine); there {
		return pool.Error(fmt.Sprintf("GUARDQUARANTINE this server may have forgotten locks, and grants none for another %d ms", time.Until(e.expires).Milliseconds()))
	}
	return nil
}
