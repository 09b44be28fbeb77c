package fanout

import (
	"fmt"
	"slices"
	"time"
)

// A client that was closed for good sends nothing any more: no release that is owed to
// its node will ever be carried out. So it is given up at once, and Settle says which
// keys may be left. Else Close would wait for as long as keys can live, which may be an
// hour, and for what it is in doubt about for ten minutes.

// A leftKey is a key that may be left on a node until it expires there.
type leftKey struct {
	key   string
	until time.Time
}

// maxLeft bounds how many are remembered for one node. Of more than that the others are
// only counted.
const maxLeft = 1000

// abandon gives up what the claim owes to node i, whose client was closed. The claim's
// mutex is held.
func (c *Claim) abandon(i int) {
	s := &c.seats[i]
	if s.settled {
		return
	}
	until := s.alive
	if s.stuck > 0 { // it may set the key now
		until = later(until, time.Now().Add(2*s.life))
	}
	if until.After(time.Now()) {
		c.group.leave(i, leftKey{c.lease.Key(), until})
	}
	c.settle(i)
}

// closed takes in that the client was closed, by the answer to a payment: what else is
// owed to the node is given up, too.
func (b *debts) closed(d *debt) {
	b.ended(d, 0)
	b.mu.Lock()
	owed := append(b.queue, d)
	b.queue = nil
	if b.timer != nil {
		b.timer.Stop()
	}
	b.mu.Unlock()
	for _, d := range owed {
		d.claim.mu.Lock()
		d.claim.abandon(d.index)
		d.claim.mu.Unlock()
	}
}

// leave notes that a key may be left on node i.
func (g *Group) leave(i int, k leftKey) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left == nil {
		g.left = make([][]leftKey, len(g.nodes))
		g.more = make([]int, len(g.nodes))
	}
	if len(g.left[i]) == maxLeft {
		now := time.Now()
		g.left[i] = slices.DeleteFunc(g.left[i], func(k leftKey) bool { return !k.until.After(now) })
	}
	if len(g.left[i]) == maxLeft {
		g.more[i]++
		return
	}
	g.left[i] = append(g.left[i], k)
}

// abandoned returns one error per node that says which keys may be left there since its
// client was closed, and forgets them.
func (g *Group) abandoned() (errs []error) {
	g.mu.Lock()
	left, more := g.left, g.more
	g.left, g.more = nil, nil
	g.mu.Unlock()
	now := time.Now()
	for i, all := range left {
		var keys []string
		for _, k := range all {
			if k.until.After(now) {
				keys = append(keys, k.key)
			}
		}
		if len(keys) > 0 {
			errs = append(errs, fmt.Errorf("node %s: its client was closed before the Locker, and %d releases could not be sent; these keys may be left until they expire: %s", g.Name(i), len(keys)+more[i], List(keys)))
		}
	}
	return errs
}
