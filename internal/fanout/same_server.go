package fanout

import (
	"errors"

	"github.com/quorumlock/quorumlock/internal/node"
)

// errDuplicate is the answer of a node that is the same server as another one.
var errDuplicate = errors.New("another node is the same server, which does not count twice: give each master once (redlock doctor says which they are)")

// detectDuplicate notes that node i is the same server as another one, and does not count. It
// is, if it has the value of the claim already, and nothing that was sent to it can have put it
// there: so the value was sent there under the other name, which counts for both. (Or something
// between us and the server repeats commands. Then the node is not counted, which takes nothing
// away from exclusion.)
//
// An acquire of this node with an unknown outcome may have put the value there, and proves
// nothing. So no outcome may be unknown, and no more calls may be outstanding than the one that
// is answered here: outstanding is 1 if it was. The claim's mutex is held.
func (c *Claim) detectDuplicate(i int, a node.Answer, outstanding int) {
	s := &c.states[i]
	if !a.Found || a.SentBefore || s.outstanding != outstanding || !s.unknownSince.IsZero() || !s.heldUntil.IsZero() {
		return
	}
	s.duplicate = true
	if c.group.onDuplicate != nil {
		c.group.onDuplicate(i)
	}
}

// OnDuplicate has f called when node i turns out to be the same server as another one. f must
// not block. It is set before the first call.
func (g *Group) OnDuplicate(f func(i int)) { g.onDuplicate = f }
