package pipeline

import (
	"context"
	"fmt"
	"time"
)

// One timer watches over all calls of a pipe. A call that is answered in time,
// nearly every one, costs none: the timer finds nothing to do.

// watch sees to it that check comes at the deadline of c. p.mu is held.
func (p *Pipe) watch(c call) {
	if at, ok := c.ctx.Deadline(); ok {
		p.arm(at)
	}
}

// arm has check come at that time, or before. p.mu is held.
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

// check gives up what was not sent by its deadline. If a call is overdue on the
// connection, new ones get another; a connection that is overdue for long is given up.
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
