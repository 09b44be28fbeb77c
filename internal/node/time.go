package node

import "time"

// hearTime takes in what time it is for the node. n.mu is held.
func (n *Node) noteTime(asked *Request, a *Answer, late bool) {
	at, known := a.At.Sub(n.made).Microseconds(), n.offset.Load()
	offset := a.Micros - at
	switch {
	case a.Micros > 0 && late && offset <= known && n.fresh(at):
		// Its clock is ahead of that by what the reply took. So one that took long counts
		// only if less was known.
		return
	case a.Micros > 0:
	case late || known == 0 || a.Status != Granted || !asked.fenced():
		return
	default: // no news: its time is about that of the token
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

// Micros is the time on the node's clock, in microseconds since 1970, as far as it
// can be told from the last answer that said: earlier by as long as that was on its
// way. It is 0 if none did that is still fresh. Our own time of day is not in it.
func (n *Node) Micros() int64 {
	now := time.Since(n.made).Microseconds()
	fresh := n.fresh(now) // before offset is read, which is set before told
	if offset := n.offset.Load(); offset != 0 && fresh {
		return offset + now
	}
	return 0
}
