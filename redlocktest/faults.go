package redlocktest

import (
	"strings"
	"time"
)

// Freeze stops the node as SIGSTOP stops a server: it accepts connections, executes nothing and
// answers nothing. Commands that clients send meanwhile take effect on Thaw, even if the client
// has closed its connection since. Freezing a frozen or a stopped node does nothing.
func (n *Node) Freeze() {
	n.running.Lock()
	defer n.running.Unlock()
	if n.thawed == nil && n.run != nil {
		n.thawed = make(chan struct{})
	}
}

// Thaw ends a freeze. The held commands are executed, those of one connection in their order.
// Thawing a node that is not frozen does nothing.
func (n *Node) Thaw() {
	n.running.Lock()
	defer n.running.Unlock()
	if n.thawed != nil {
		close(n.thawed)
		n.thawed = nil
	}
}

// Delay makes the node wait for d before it executes each command. 0 ends the delay of later
// commands.
func (n *Node) Delay(d time.Duration) {
	n.running.Lock()
	defer n.running.Unlock()
	n.delay = d
}

// DropRequests drops all commands: they are not executed and not answered, as if the network
// were cut. Connections are accepted.
//
// After the fault a connection on which a command was dropped stays dead: later commands on it
// are dropped as well. Otherwise the client would take the answer to its next command for that
// to the dropped one, which cannot happen over TCP. Clients open a new connection after a
// timeout.
func (n *Node) DropRequests(on bool) {
	n.running.Lock()
	defer n.running.Unlock()
	n.dropRequests = on
}

// DropReplies drops all answers, and messages to subscribers: commands take effect, and the
// client gets no answer. After the fault a connection on which an answer was dropped stays
// silent, and commands on it still take effect.
func (n *Node) DropReplies(on bool) {
	n.dropReplies.Store(on)
}

// FailWith makes the node answer each command with the error msg, without executing it. For
// example: "OOM command not allowed when used memory > 'maxmemory'." or "READONLY You can't
// write against a read only replica.". An empty msg ends it.
//
// The commands by which clients greet a server, check and close connections are executed as
// before: HELLO, AUTH, CLIENT, SELECT, PING, RESET, QUIT.
func (n *Node) FailWith(msg string) {
	n.running.Lock()
	defer n.running.Unlock()
	n.failWith = msg
}

// FailCommand makes the node answer each command of this name with the error msg, without
// executing it. For example: "EVALSHA" with "ERR unknown command 'EVALSHA'", or "AUTH" with
// "WRONGPASS invalid username-password pair or user is disabled.". An empty msg ends it for
// this command. The case of name does not matter.
//
// Each command can have another error, also the commands that FailWith does not fail. It takes
// precedence over the error of FailWith. A command inside a script does not fail.
func (n *Node) FailCommand(name, msg string) {
	n.running.Lock()
	defer n.running.Unlock()
	if name = strings.ToUpper(name); msg == "" {
		delete(n.failCommand, name)
	} else {
		n.failCommand[name] = msg
	}
}

// Demote makes the node a replica, as a failover behind its address does. Commands that change
// data are refused with "READONLY You can't write against a read only replica.", inside scripts
// as well. The error of such a script has other words before these. Connections and data
// remain. Commands that read, publish or subscribe are executed.
func (n *Node) Demote() { n.setDemoted(true) }

// Promote makes the node a master again.
func (n *Node) Promote() { n.setDemoted(false) }

func (n *Node) setDemoted(on bool) {
	n.running.Lock()
	defer n.running.Unlock()
	n.demoted = on
}

// DelayDials makes the node read from a new connection only after d, as if certificates,
// credentials or the network took that long. The client connects at once, as it does to a busy
// server. Its first command (HELLO, AUTH or its own) is answered after d, and later ones at
// once. 0 ends the delay of later connections.
func (n *Node) DelayDials(d time.Duration) {
	n.running.Lock()
	defer n.running.Unlock()
	n.dialDelay = d
}

// FlushScripts empties the node's script cache, as SCRIPT FLUSH or a failover does. EVALSHA is
// answered with NOSCRIPT until the script is sent again.
func (n *Node) FlushScripts() {
	n.running.Lock()
	defer n.running.Unlock()
	if n.run == nil {
		return // it will start without scripts anyway
	}
	n.run.flushScripts()
}
