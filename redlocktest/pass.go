package redlocktest

import (
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// pass applies the node's faults to a command, and executes it if none of them stops it.
func (r *run) pass(c *server.Peer, p *peer, name string, execute func()) {
	n := r.node
	if !r.sleep() {
		return
	}
	n.running.RLock()
	defer n.running.RUnlock()
	for n.run == r && n.thawed != nil {
		thawed := n.thawed
		n.running.RUnlock()
		n.count(func(s *Stats) { s.Frozen++ })
		select {
		case <-thawed:
		case <-r.over:
		}
		n.running.RLock()
	}

	switch {
	case n.run != r:
		// The node was stopped: this command dies with it.
	case n.dropRequests || p.mute:
		p.mute = true
		n.count(func(s *Stats) { s.DroppedRequests++ })
	case n.failCommand[name] != "":
		c.WriteError(n.failCommand[name])
		n.count(func(s *Stats) { s.Failed++ })
	case n.failWith != "" && !handshake[name]:
		c.WriteError(n.failWith)
		n.count(func(s *Stats) { s.Failed++ })
	case r.refusesWrite(name):
		c.WriteError(readOnly)
		n.count(func(s *Stats) { s.ReadOnly++ })
	default:
		n.clock.follow(n.store)
		if blocking[name] {
			// It may wait for a command of another client, so it must not hold running. A
			// change of faults would wait for that, and all other commands for the change,
			// among them the command that it waits for.
			n.running.RUnlock()
			defer n.running.RLock()
		}
		execute()
		if !handshake[name] {
			n.count(func(s *Stats) { s.Commands++ })
		}
	}
}

// sleep waits for the node's delay. It returns false if the run ended meanwhile.
func (r *run) sleep() bool {
	r.node.running.RLock()
	d := r.node.delay
	r.node.running.RUnlock()
	if d <= 0 {
		return true
	}
	r.node.count(func(s *Stats) { s.Delayed++ })
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.over:
		return false
	}
}

// handshake are the commands by which clients open, check and close
// connections.
var handshake = map[string]bool{
	"AUTH": true, "CLIENT": true, "HELLO": true, "PING": true, "QUIT": true, "RESET": true, "SELECT": true,
}

// refusesWrite reports whether the node is demoted and refuses the command. n.running is held.
func (r *run) refusesWrite(name string) bool {
	return r.node.demoted && !handshake[name] && !reading[name] &&
		r.server.IsRegisteredCommand(name) && !r.server.IsReadOnlyCommand(name)
}

// readOnly is the error of a replica.
const readOnly = "READONLY You can't write against a read only replica."

// reading are the commands that change no data, besides those that miniredis knows as such.
// Scripts are among them: a demoted node refuses the commands inside a script.
var reading = map[string]bool{
	"CLUSTER": true, "COMMAND": true, "DISCARD": true, "ECHO": true, "EVAL": true, "EVALSHA": true, "INFO": true,
	"MEMORY": true, "MULTI": true, "OBJECT": true, "PSUBSCRIBE": true, "PUBLISH": true, "PUBSUB": true,
	"PUNSUBSCRIBE": true, "SCRIPT": true, "SUBSCRIBE": true, "TIME": true, "UNSUBSCRIBE": true, "UNWATCH": true,
	"WAIT": true, "WATCH": true, "XINFO": true,
}

// blocking are the commands that may wait for another client's command.
var blocking = map[string]bool{
	"BLMOVE": true, "BLMPOP": true, "BLPOP": true, "BRPOP": true, "BRPOPLPUSH": true, "BZMPOP": true,
	"BZPOPMAX": true, "BZPOPMIN": true, "XREAD": true, "XREADGROUP": true,
}
