package pipeline

import (
	"context"
	"fmt"
	"time"
)

// All calls of a pipe share one timer. Nearly every call is answered in time, and then the
// timer finds nothing to do.

// watch makes check run at the deadline of c. p.mu is held.
func (p *Pipe) watch(c call) {
	if at, ok := c.ctx.Deadline(); ok {
		p.arm(at)
	}
}

// arm makes check run at that time, or before. p.mu is held.
func (p *Pipe) arm(at time.Time) {
	if p.closed || p.armed && !at.Before(p.at) {
		return
	}
	p.armed, p.at = true, at
	in := max(time.Until(at), 1) // not 0 or less, see setTimer in package fanout
	if p.timer == nil {
		p.timer = time.AfterFunc(in, p.check)
	} else {
		p.timer.Reset(in)
	}
}

// check fails the calls that were not sent by their deadline. If a call on the connection is
// overdue, the connection is retired. A connection that is overdue for longer than grace is
// closed.
func (p *Pipe) check() {
	p.mu.Lock()
	p.armed = false
	now := time.Now()
	late := p.waiting.expire(now)
	why := p.notReady()
	var stalled []*link
	giveUp := func(l *link, at time.Time) {
		switch {
		case l.stalled:
		case now.Before(at):
			p.arm(at)
		default:
			l.stalled = true
			stalled = append(stalled, l)
		}
	}
	if p.old != nil {
		giveUp(p.old, p.old.retired.Add(grace))
	}
	if l := p.link; l != nil {
		switch at, ok := l.unanswered.earliest(); {
		case !ok:
		case p.old != nil:
			giveUp(l, at.Add(grace))
		case now.Before(at):
			p.arm(at)
		default:
			p.retire()
		}
	}
	if at, ok := p.waiting.earliest(); ok {
		p.arm(at)
	}
	p.mu.Unlock()
	fail(late, unsent(fmt.Errorf("%w: %w", context.DeadlineExceeded, why)))
	for _, l := range stalled {
		l.conn.Close() // the reader does the rest
	}
}
