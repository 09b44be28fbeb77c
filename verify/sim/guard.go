package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

// A guard is what guard.lua does with the settings of a script.
type guard struct{ *lua.Guard }

const (
	marker     = "redlock:node"
	quarantine = "redlock:quarantine"
)

// refusal is what guard.lua does: it returns why no lock is granted, or nil. run is the
// run id of the server.
func (g guard) refusal(s command, run string) error {
	kept, _ := s.get(marker)
	known, agreed, found := strings.Cut(kept, " ")
	if !found || known == "" || strings.Trim(known, "0123456789abcdefABCDEF") != "" {
		known, agreed = "", g.Settings
	}
	if agreed != g.Settings {
		return pool.Error(fmt.Sprintf("GUARDMISMATCH others lock here with (nodes, longest TTL, quarantine in ms) = (%s), this client has (%s)", agreed, g.Settings))
	}
	if known != run {
		s.set(quarantine, run, g.Quarantine)
		g.setMarker(s, run)
	}
	if left := s.pttl(quarantine); left != -2 {
		return pool.Error(fmt.Sprintf("GUARDQUARANTINE this server may have forgotten locks, and grants none for another %d ms", left))
	}
	return nil
}

// setMarker notes which server the data is of.
func (g guard) setMarker(s command, run string) {
	s.store.keys[marker] = &entry{text: run + " " + g.Settings}
}

// begin gives the server's process a run id, as every start does.
func (n *server) begin(id uint64) {
	n.run = fmt.Sprintf("%040x", id)
	n.mute = true
}

// lose forgets the data.
func (n *server) lose() {
	clear(n.store.keys)
	n.trusted, n.mute, n.lostAt = false, true, n.clock.now()
}

// save keeps a copy of the data, as on a disk or a replica.
func (n *server) save() { n.saved = n.store.clone() }

// recall goes back to that copy, or to nothing if there is none. It returns what was
// deleted since, and is there again.
func (n *server) recall(names []string) (back []string) {
	before := make(map[string][]string)
	for _, name := range names {
		before[name] = n.holders(name)
	}
	n.lose()
	maps.Copy(n.store.keys, n.saved)
	n.saved = nil
	for _, name := range names {
		for _, value := range n.holders(name) {
			if !slices.Contains(before[name], value) {
				back = append(back, value)
			}
		}
	}
	return back
}

// keepsOut reports whether a server that may have forgotten locks grants none: it is in
// quarantine, or will be from the first request on.
func (n *server) keepsOut() bool { return n.mute || n.peek(quarantine) != "" }
