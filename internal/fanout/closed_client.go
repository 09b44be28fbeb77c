package fanout

import (
	"fmt"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A client that was closed for good sends nothing any more: no pending release of its node
// will ever be carried out. So they are abandoned at once, and Settle names the keys that may
// be left. Otherwise Close would wait for as long as keys can live, which may be an hour, and
// for ten minutes where an outcome is unknown.

// leftKeys are the keys of a claim that may be left on a node until they expire there.
type leftKeys struct {
	keys  []string
	until time.Time
}

// maxLeft bounds of how many claims they are remembered for one node. The others are only counted.
const maxLeft = 1000

// abandonNode gives up the release of the claim on node i, whose client was closed. The claim's
// mutex is held.
func (c *Claim) abandonNode(i int) {
	s := &c.states[i]
	if s.settled {
		return
	}
	until := s.mayLiveUntil
	if s.outstanding > 0 { // it may set the key now
		until = later(until, time.Now().Add(2*s.keyLifetime))
	}
	if until.After(time.Now()) {
		c.group.addLeft(i, leftKeys{c.asked(node.Release).Keys(), until})
	}
	c.settle(i)
}

// clientClosed takes in that the client was closed, as the answer to release r says. It
// abandons the other pending releases of the node, too.
func (q *releaseQueue) clientClosed(r *pendingRelease) {
	q.callEnded(r, 0)
	q.mu.Lock()
	pending := append(q.heap, r)
	q.heap = nil
	if q.timer != nil {
		q.timer.Stop()
	}
	q.mu.Unlock()
	for _, r := range pending {
		r.claim.mu.Lock()
		r.claim.abandonNode(r.index)
		r.claim.mu.Unlock()
	}
}

// addLeft notes that keys may be left on node i.
func (g *Group) addLeft(i int, k leftKeys) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leftKeys == nil {
		g.leftKeys = make([][]leftKeys, len(g.nodes))
		g.leftUnnamed = make([]int, len(g.nodes))
	}
	if len(g.leftKeys[i]) == maxLeft {
		now := time.Now()
		g.leftKeys[i] = slices.DeleteFunc(g.leftKeys[i], func(k leftKeys) bool { return !k.until.After(now) })
	}
	if len(g.leftKeys[i]) == maxLeft {
		g.leftUnnamed[i]++
		return
	}
	g.leftKeys[i] = append(g.leftKeys[i], k)
}

// takeLeftKeys returns one error per node that names the keys that may be left there since its
// client was closed, and forgets them.
func (g *Group) takeLeftKeys() (errs []error) {
	g.mu.Lock()
	left, unnamed := g.leftKeys, g.leftUnnamed
	g.leftKeys, g.leftUnnamed = nil, nil
	g.mu.Unlock()
	now := time.Now()
	for i, all := range left {
		var keys []string
		releases := unnamed[i]
		for _, k := range all {
			if k.until.After(now) {
				keys = append(keys, k.keys...)
				releases++
			}
		}
		if len(keys) > 0 {
			errs = append(errs, fmt.Errorf("node %s: its client was closed before the Locker, and %d releases could not be sent; these keys may be left until they expire: %s", g.Name(i), releases, FirstFew(keys)))
		}
	}
	return errs
}
