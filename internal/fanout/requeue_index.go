package fanout

// A requeueIndex has the claims whose release puts a position back into the wait queue, and
// that are not settled, by position. Those of one position are a list, newest first. A waiter that
// leaves the wait queue looks for the claims of its position. Thousands may be unsettled, and as
// many waiters may leave at once.
type requeueIndex map[position]*Claim

// A position is that of a waiter in a wait queue, the first one of several.
type position struct{ waiterID, key string }

// position is where the release of the claim puts its waiter back.
func (c *Claim) position() position {
	id, _ := c.flag.ID.(string)
	return position{id, c.entry.Queues()[0]}
}

func (x requeueIndex) add(c *Claim) {
	at := c.position()
	if next := x[at]; next != nil {
		c.older, next.newer = next, c
	}
	x[at] = c
}

// remove takes out c, if it is there.
func (x requeueIndex) remove(c *Claim) {
	switch {
	case c.newer != nil:
		c.newer.older = c.older
	case x[c.position()] != c:
		return
	case c.older != nil:
		x[c.position()] = c.older
	default:
		delete(x, c.position())
	}
	if c.older != nil {
		c.older.newer = c.newer
	}
	c.older, c.newer = nil, nil
}
