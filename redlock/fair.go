package redlock

import (
	"context"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
)

// With WithFair the lines of all Lockers are one, first come first served.
//
// Every caller draws a ticket: larger than all that any of a majority of the nodes has
// seen, and than all that its Locker drew before. Then the nodes are told, and a node grants a free lock only to
// the smallest ticket that it knows. A caller whose ticket is known to a majority is
// served before anybody who begins later: he asks a majority for the largest ticket,
// one node is in both, and so his is larger; and to be granted the lock he needs a
// majority that knows of nobody before him.
//
// Only the first of a Locker's line asks, so the nodes keep one place for each
// Locker, with the ticket of its first, and the largest ticket of all. The tickets of
// those behind him are known here: they move into the place when their turn comes. A
// node does so by itself when it grants the lock, since between a grant and what the
// next one says the lock may have been released.
//
// A place is kept for as long as its Locker goes on asking, and a lease longer. A
// Locker that reaches no majority asks without a ticket, so it loses its place: it
// would be in the way of somebody who needs the few nodes that it reaches. When it
// reaches a majority again, it takes its place again.
//
// Nothing of this keeps exclusion; the majority does.

// drawPause is how long somebody who needs a ticket waits for others who need one,
// and for an attempt that is made anyway; and how long somebody whose turn it is, as
// one node says, waits for others to say so.
const drawPause = 5 * time.Millisecond

// says is what an attempt tells the nodes about the line that p is the first of.
func (p *place) says(lease time.Duration) node.QueuePosition {
	l := p.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.byKey[p.key]
	in.asked = in.joined
	said := node.QueuePosition{Ticket: p.ticket, Count: in.count, TTL: lease, Last: in.drawn}
	if p.behind != nil {
		said.Next = p.behind.ticket
	}
	if in.drawn > 0 {
		in.told = fanout.Position{Ticket: in.drawn, TTL: max(in.told.TTL, lease)}
	}
	l.byKey[p.key] = in
	return said
}

// draw gives tickets after last to those who joined before the attempt began and
// have none. It reports whether there were any. first is the smallest ticket of all
// Lockers.
func (p *place) draw(last, first int64) (drawn bool) {
	l := p.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.gone {
		return false
	}
	in := l.byKey[p.key]
	if first > 0 {
		in.front = first
	}
	for q := in.undrawn; q != nil && q.seq <= in.asked; q = q.behind {
		if q.fair {
			q.ticket = max(last, l.drawn) + 1
			l.drawn, in.drawn = q.ticket, q.ticket
			drawn = true
		}
		in.undrawn = q.behind
	}
	l.byKey[p.key] = in
	return drawn
}

// succeed leaves the place after its attempt was granted. The next in line, if that
// attempt announced it, has a place already, for as long as he wants one, and inherits
// the ear: the lock may be released before he is awake. It reports whether there is one.
func (p *place) succeed(r *request, lock *Lock) (inherited bool) {
	l := p.lines
	l.mu.Lock()
	if next := p.behind; next != nil && next.ticket > 0 && next.ticket == r.said.Next && next.lease <= r.placeLease() && next.mark <= r.markTTL() {
		next.ear, inherited = r.ear, true
	}
	l.mu.Unlock()
	// If nobody is left, the release of the lock gives up the place: it comes after
	// all that the attempt may yet do.
	lock.claim.LeaveQueueOnRelease(p.part())
	return inherited
}

// inherit takes the ear that was left to p, nil if none was.
func (p *place) inherit() *ear {
	l := p.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	e := p.ear
	p.ear = nil
	return e
}

// position is how many callers come first, at most: those of this Locker, and of others as
// many as have smaller tickets. known is false if the nodes have not said yet.
func (p *place) position() (ahead int, known bool) {
	l := p.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.byKey[p.key]
	ahead = p.most(in)
	if p.ticket == 0 || in.front == 0 || p.gone {
		return ahead, false
	}
	return max(ahead, int(p.ticket-in.front)), true
}

// turn asks for the lock when it is our turn.
func (l *Locker) turn(ctx context.Context, r *request, claim *fanout.Claim) *fanout.Round {
	mark := node.WaiterFlag{ID: l.group.WaiterID(), Position: node.QueuePosition{TTL: r.placeLease()}}
	if r.place != nil {
		mark.TTL = r.markTTL()
		r.said = r.place.says(r.placeLease())
		if r.apart = l.isApart(r); r.apart {
			r.said.Ticket, r.said.Next = 0, 0
		}
		mark.Position = r.said
		if r.tried != nil {
			r.tried.NextAttemptBegins()
		}
		r.tried = claim
	}
	return claim.Turn(ctx, r.ttl, mark)
}

// queue draws tickets after an attempt that failed, and reports whether to ask again
// at once, so that the nodes know of them.
func (l *Locker) queue(r *request, o outcome) (again bool) {
	// So many answers that one is from a node of every majority.
	return o.answers > l.group.Len()-l.group.Majority() && r.place.draw(o.last, o.first)
}

// isApart reports whether the request reaches no majority, as far as its attempt
// before found out. Where that is open, it is as it was.
func (l *Locker) isApart(r *request) bool {
	if r.tried == nil {
		return false
	}
	switch answered, failed := r.tried.Reached(); {
	case failed > l.group.Len()-l.group.Majority():
		return true
	case answered >= l.group.Majority():
		return false
	}
	return r.apart
}

// stepOut tells the nodes that nobody of ours stands in line any more with a ticket that
// they were told.
func (l *Locker) stepOut(key string, left fanout.Position) {
	l.group.LeaveQueue(key, newValue(l.config.owner), l.config.nodeTimeout, left)
}
