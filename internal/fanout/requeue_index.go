package fanout

// A requeueIndex has the claims whose release puts a position back into the wait queue, and
// that are not settled, by key. Those of one key are a list, newest first. A waiter that leaves
// the wait queue looks for the claims of its key. Thousands may be unsettled, and as many
// waiters may leave at once.
type requeueIndex map[string]*Claim

func (x requeueIndex) add(c *Claim) {
	key := c.entry.Key()
	if next := x[key]; next != nil {
		c.older, next.newer = next, c
	}
	x[key] = c
}

// remove takes out c, if it is there.
func (x requeueIndex) remove(c *Claim) {
	key := c.entry.Key()
	switch {
	case c.newer != nil:
		c.newer.older = c.older
	case x[key] != c:
		return
	case c.older != nil:
		x[key] = c.older
	default:
		delete(x, key)
	}
	if c.older != nil {
		c.older.newer = c.newer
	}
	c.older, c.newer = nil, nil
}
