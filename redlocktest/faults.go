package redlocktest

import (
	"strings"
	"time"
)

// Freeze stops the node as SIGSTOP stops a server: connections are accepted,
// nothing is executed and nothing answered. What clients send meanwhile takes
// effect on Thaw, even if they have hung up since. Freezing a frozen or a
// stopped node does nothing.
func (n *Node) Freeze() {
	n.gate.Lock()
	defer n.gate.Unlock()
	if n.thawed == nil && n.run != nil {
		n.thawed = make(chan struct{})
	}
}

// Thaw ends a freeze: the commands that were held are executed, those of one
// connection in their order. Thawing a node that is not frozen does nothing.
func (n *Node) Thaw() {
	n.gate.Lock()
	defer n.gate.Unlock()
	if n.thawed != nil {
		close(n.thawed)
		n.thawed = nil
	}
}

// Delay makes the node wait this long before it executes each command. 0 ends
// it, for commands that come from now on.
func (n *Node) Delay(d time.Duration) {
	n.gate.Lock()
	defer n.gate.Unlock()
	n.delay = d
}

// DropRequests makes commands vanish: nothing happens and nothing is answered,
// as when the way to the node is cut. Connections are accepted.
//
// A connection on which a command vanished stays dead after the fault ended:
// whatever else is sent on it vanishes as well. Else the client would take the
// answer to its next command for that to the lost one, which TCP never does to
// it. Clients open a new connection after a timeout.
func (n *Node) DropRequests(on bool) {
	n.gate.Lock()
	defer n.gate.Unlock()
	n.dropRequests = on
}

// DropReplies makes answers vanish, and messages to subscribers: commands take
// effect and the client never learns of it. A connection on which an answer
// vanished stays silent after the fault ended, while commands on it take effect.
func (n *Node) DropReplies(on bool) {
	n.dropReplies.Store(on)
}

// FailWith makes the node answer each command with this error and not execute
// it, for example "OOM command not allowed when used memory > 'maxmemory'." or
// "READONLY You can't write against a read only replica.". "" ends it.
//
// The commands by which clients open, check and close connections (HELLO,
// AUTH, CLIENT, SELECT, PING, RESET, QUIT) are answered as ever, so that the
// error meets the commands that matter.
func (n *Node) FailWith(msg string) {
	n.gate.Lock()
	defer n.gate.Unlock()
	n.failWith = msg
}

// FailCommand makes the node answer each command of this name with this error and
// not execute it, for example "EVALSHA" with "ERR unknown command 'EVALSHA'", or
// "AUTH" with "WRONGPASS invalid username-password pair or user is disabled.". ""
// ends it for this command. Capitals do not matter.
//
// Each command can have an error of its own, those of the handshake too, and it
// comes before that of FailWith. A command that a script calls is not refused.
func (n *Node) FailCommand(name, msg string) {
	n.gate.Lock()
	defer n.gate.Unlock()
	if name = strings.ToUpper(name); msg == "" {
		delete(n.failCommand, name)
	} else {
		n.failCommand[name] = msg
	}
}

// Demote makes a replica of the node, as a fail-over behind its address does:
// whatever would change data is refused with "READONLY You can't write against a
// read only replica.", also what a script calls. The answer of such a script has
// these words after some of its own. Connections stay, data stays, and what reads,
// publishes or subscribes is carried out.
func (n *Node) Demote() { n.setDemoted(true) }

// Promote makes the node a master again.
func (n *Node) Promote() { n.setDemoted(false) }

func (n *Node) setDemoted(on bool) {
	n.gate.Lock()
	defer n.gate.Unlock()
	n.demoted = on
}

// DelayDials makes each connection that is made from now on open this late, as one
// does whose certificate, credentials or way take long. To connect succeeds at
// once, as a kernel accepts for a server that is busy; nothing that is sent on
// it is read before d is over, so the client's first command (HELLO, AUTH or its
// own) is answered so late, and later ones at once. 0 ends it, for new connections.
func (n *Node) DelayDials(d time.Duration) {
	n.gate.Lock()
	defer n.gate.Unlock()
	n.dialDelay = d
}

// FlushScripts empties the node's script cache, as SCRIPT FLUSH or a failover
// does: EVALSHA is answered with NOSCRIPT until the script is sent again.
func (n *Node) FlushScripts() {
	n.gate.Lock()
	defer n.gate.Unlock()
	if n.run == nil {
		return // it will start without scripts anyway
	}
	n.run.flushScripts()
}
