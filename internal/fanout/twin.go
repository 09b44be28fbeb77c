package fanout

import (
	"errors"

	"github.com/quorumlock/quorumlock/internal/node"
)

// errTwin is the answer of a node that counts under another name.
var errTwin = errors.New("another node is the same server, which does not count twice: give each master once (redlock doctor says which they are)")

// compare notes that node i is the same server as another one: it has the value of the claim
// already, and nothing that was sent to it can have put it there. So it was sent there under
// the other name, which counts for both. (Or something between us and the server repeats
// commands: then the node is not counted, which takes nothing away from exclusion.)
//
// If an acquire of this node is of unknown fate, other than so many that are still with the
// client, that may have done it, and proves nothing. The claim's mutex is held.
func (c *Claim) compare(i int, a node.Answer, stuck int) {
	s := &c.seats[i]
	if !a.Found || a.Lost || s.stuck != stuck || !s.doubt.IsZero() || !s.kept.IsZero() {
		return
	}
	s.twin = true
	if c.group.same != nil {
		c.group.same(i)
	}
}

// Same has f told when node i turns out to be the same server as another one. f must not
// block. It is set before the first call.
func (g *Group) Same(f func(i int)) { g.same = f }
