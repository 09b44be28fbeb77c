package waiting

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
)

// With WithFair the wait queues of all Lockers are one: first come, first served.
//
// Every caller draws a ticket. It is larger than all that any of a majority of the nodes has
// seen, and than all that its Locker drew before. Then the nodes learn the ticket. A node
// grants a free lock only to the smallest ticket that it knows. A caller whose ticket is known
// to a majority is served before every caller that begins later. The later caller asks a
// majority for the largest ticket. One node is in both majorities, so the later ticket is
// larger. To be granted the lock the later caller needs a majority that knows no smaller
// ticket.
//
// Only the head of a Locker's queue asks. So the nodes keep one position for each Locker, with
// the ticket of its head, and the largest ticket of all. The tickets of the callers behind the
// head are known here. They move into the position when their callers become the head. A node
// does so by itself when it grants the lock: between a grant and what the next head says the
// lock may have been released.
//
// A node keeps a position for as long as its Locker goes on asking, and one position TTL longer. A
// Locker that reaches no majority asks without a ticket, so it loses its position. It would
// be in the way of a Locker that needs the few nodes that it reaches. When it reaches a
// majority again, it takes its position again.
//
// Nothing of this keeps exclusion; the majority does.

// announce is what an attempt of the head tells the nodes about its queue.
func (e *Entry) announce(ttl time.Duration) node.QueuePosition {
	q := e.queues
	q.mu.Lock()
	defer q.mu.Unlock()
	in := q.byKey[e.key]
	in.asked = in.joined
	announced := node.QueuePosition{Ticket: e.ticket, Count: in.count, TTL: ttl, Last: in.drawn}
	if e.behind != nil {
		announced.Next = e.behind.ticket
	}
	if in.drawn > 0 {
		in.known = fanout.Position{Ticket: in.drawn, TTL: max(in.known.TTL, ttl)}
	}
	q.byKey[e.key] = in
	return announced
}

// draw gives tickets after largest to the entries that joined before the attempt began and
// have none. An entry that joined later gets none: in between a majority may have learned the
// ticket of another Locker. draw reports whether there were any. smallest is the smallest
// ticket of all Lockers, 0 if it is not known.
func (e *Entry) draw(largest, smallest int64) (drawn bool) {
	q := e.queues
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.left {
		return false
	}
	in := q.byKey[e.key]
	if smallest > 0 {
		in.front = smallest
	}
	for next := in.undrawn; next != nil && next.seq <= in.asked; next = next.behind {
		if next.fair {
			next.ticket = max(largest, q.drawn) + 1
			q.drawn, in.drawn = next.ticket, next.ticket
			drawn = true
		}
		in.undrawn = next.behind
	}
	q.byKey[e.key] = in
	return drawn
}

// passOn leaves the queue after an attempt of e was granted. announced is what that attempt sent
// the nodes. If it has the ticket of the next entry, the nodes know the position of that entry
// already. The next entry then inherits the subscription s, because the lock may be released
// before its waiter is awake. Exception: the next entry wants its position, or its flag, for
// longer than the attempt asked for. passOn reports whether s was inherited.
//
// known is what the nodes know of the position of the queue, if no waiter with a ticket is left.
// Then the release of the lock gives up the position: it comes after all that the attempt may
// yet do.
func (e *Entry) passOn(s *subscription, announced node.QueuePosition) (known fanout.Position, inherited bool) {
	e.queues.mu.Lock()
	if next := e.behind; next != nil && next.ticket > 0 && next.ticket == announced.Next && next.positionTTL <= e.positionTTL && next.flag <= e.flag {
		next.inherited, inherited = s, true
	}
	e.queues.mu.Unlock()
	return e.remove(), inherited
}

// inherit takes the subscription that the former head passed on, nil if there is none.
func (e *Entry) inherit() *subscription {
	e.queues.mu.Lock()
	defer e.queues.mu.Unlock()
	s := e.inherited
	e.inherited = nil
	return s
}

// Position is how many callers come first, at most: those of this Locker, and of other Lockers
// as many as have smaller tickets. known is false if the nodes have not returned the smallest ticket yet.
func (e *Entry) Position() (ahead int, known bool) {
	q := e.queues
	q.mu.Lock()
	defer q.mu.Unlock()
	in := q.byKey[e.key]
	ahead = e.maxAhead(in)
	if e.ticket == 0 || in.front == 0 || e.left {
		return ahead, false
	}
	return max(ahead, int(e.ticket-in.front)), true
}
