package fanout

import (
	"errors"

	"github.com/quorumlock/quorumlock/internal/node"
)

// errDuplicate is the answer of a node that counts under another name.
var errDuplicate = errors.New("another node is the same server, which does not count twice: give each master once (redlock doctor says which they are)")

// detectDuplicate notes that node i is the same server as another one: it has the value of the claim
// already, and nothing that was sent to it can have put it there. So it was sent there under
// the other name, which counts for both. (Or something between us and the server repeats
// commands: then the node is not counted, which takes nothing away from exclusion.)
//
// If an acquire of this node is of unknown fate, other than so many that are still with the
// client, that may have done it, and proves nothing. The claim's mutex is held.
func (c *Claim) detectDuplicate(i int, a node.Answer, stuck int) {
	s := &c.states[i]
	if !a.Found || a.Lost || s.outstanding != stuck || !s.unknownSince.IsZero() || !s.heldUntil.IsZero() {
		return
	}
	s.duplicate = true
	if c.group.onDuplicate != nil {
		c.group.onDuplicate(i)
	}
}

// OnDuplicate has f told when node i turns out to be the same server as another one. f must not
// block. It is set before the first call.
func (g *Group) OnDuplicate(f func(i int)) { g.onDuplicate = f }
