package node

import "time"

// noteTime records what the answer says about the node's clock. n.mu is held.
func (n *Node) noteTime(asked *Request, a *Answer, late bool) {
	at, known := a.At.Sub(n.made).Microseconds(), n.offset.Load()
	offset := a.Micros - at
	switch {
	case a.Micros > 0 && late && offset <= known && n.fresh(at):
		// The node's clock is ahead of this estimate by the time that the reply took. So a late reply
		// counts only if the offset known so far is smaller, or no longer fresh.
		return
	case a.Micros > 0:
	case late || known == 0 || a.Status != Granted || !asked.fenced():
		return
	default: // no time in the reply: it is about that of the token
		about := asked.entry.fence.token() - at
		offset = min(max(known, about-near), about+near)
	}
	n.offset.Store(offset)
	n.offsetAt.Store(at)
}

// fresh reports whether offset still holds.
func (n *Node) fresh(now int64) bool {
	return n.Fresh == 0 || now-n.offsetAt.Load() <= n.Fresh.Microseconds()
}

// Micros is the time on the node's clock, in microseconds since 1970, as estimated from the
// last answer that stated it. The estimate is earlier than the node's time by how long that
// answer was on its way. It is 0 if no such answer is still fresh. Our own time of day is not
// in it.
func (n *Node) Micros() int64 {
	now := time.Since(n.made).Microseconds()
	fresh := n.fresh(now) // before offset is read, which is set before offsetAt
	if offset := n.offset.Load(); offset != 0 && fresh {
		return offset + now
	}
	return 0
}
