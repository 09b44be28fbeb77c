package waiting

import (
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
)

// pauses are those of the callers in these tests.
func pauses() *Pauses {
	return &Pauses{RetryMin: 50 * time.Millisecond, RetryMax: 250 * time.Millisecond, NodeTimeout: 100 * time.Millisecond, PositionTTL: time.Second}
}

// fairQueues returns queues that add up the tickets to be given up on the nodes.
func fairQueues() (q *queues, givenUp *int64) {
	of := newQueues()
	q, givenUp = &of, new(int64)
	q.left = func(_ *Entry, known fanout.Position) { *givenUp += known.Ticket }
	return q, givenUp
}

// An entry that joined after an attempt began gets no ticket from its answers: in between a
// majority may have stored another ticket.
func TestATicketComesFromAnAttemptThatBeganAfterTheCaller(t *testing.T) {
	q, givenUp := fairQueues()
	first := q.join("job", nil, false, pauses())
	plain := q.join("job", nil, false, nil)
	if said := first.announce(time.Second); said.Ticket != 0 || said.Next != 0 || said.Last != 0 || said.Count != 2 {
		t.Errorf("at first: %+v", said)
	}
	late := q.join("job", nil, false, pauses())
	if !first.draw(6, 3) || first.ticket != 7 || plain.ticket != 0 || late.ticket != 0 {
		t.Errorf("tickets %d, %d, %d", first.ticket, plain.ticket, late.ticket)
	}
	first.announce(time.Second)
	if !first.draw(9, 3) || first.ticket != 7 || late.ticket != 10 {
		t.Errorf("tickets %d, %d, %d", first.ticket, plain.ticket, late.ticket)
	}
	plain.Leave()
	if said := first.announce(time.Second); said.Ticket != 7 || said.Next != 10 || said.Last != 10 || said.Count != 2 {
		t.Errorf("in the end: %+v", said)
	}
	if first.draw(20, 3) {
		t.Error("every entry had a ticket")
	}
	if ahead, known := late.Position(); ahead != 10-3 || !known {
		t.Errorf("%d come first, known: %v", ahead, known)
	}
	if first.Leave(); *givenUp != 0 {
		t.Errorf("a waiter with a ticket is left, and %d is given up", *givenUp)
	}
	last := q.join("job", nil, false, nil)
	if late.Leave(); *givenUp != 10 {
		t.Errorf("no waiter with a ticket is left, and %d is given up, want 10", *givenUp)
	}
	if last.Leave(); *givenUp != 10 {
		t.Errorf("given up twice: %d", *givenUp)
	}
}

// The next entry inherits the subscription only if the nodes know its position. Else its
// waiter would wait for a message that names another one.
func TestTheNextEntryInheritsTheSubscriptionIfTheNodesKnowItsPosition(t *testing.T) {
	for name, c := range map[string]struct {
		longer    Pauses // of the next
		unsaid    bool   // the attempt did not announce it
		inherited bool
	}{
		"known":                  {inherited: true},
		"not announced":          {unsaid: true},
		"known for a short time": {longer: Pauses{PositionTTL: time.Minute}},
		"with a short flag":      {longer: Pauses{NodeTimeout: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			q, givenUp := fairQueues()
			p := pauses()
			p.PositionTTL, p.NodeTimeout = max(p.PositionTTL, c.longer.PositionTTL), max(p.NodeTimeout, c.longer.NodeTimeout)
			first, next := q.join("job", nil, false, pauses()), q.join("job", nil, false, p)
			first.announce(time.Second)
			first.draw(0, 0)
			said, s := first.announce(time.Second), newSubscription("channel", "id", 3)
			if c.unsaid {
				said.Next = 0
			}
			left, inherited := first.passOn(s, said)
			if inherited != c.inherited || (next.inherit() == s) != c.inherited {
				t.Errorf("inherited: %v, want %v", inherited, c.inherited)
			}
			if left.Ticket != 0 {
				t.Errorf("a waiter with a ticket is left, and the release gives up %d", left.Ticket)
			}
			if next.inherit() != nil {
				t.Error("inherited twice")
			}
			select {
			case <-next.head:
			default:
				t.Error("the next entry is not the head")
			}
			if next.Leave(); *givenUp != 2 {
				t.Errorf("%d is given up, want 2", *givenUp)
			}
		})
	}
}

func TestTheReleaseOfTheLastWaiterGivesUpThePosition(t *testing.T) {
	q, givenUp := fairQueues()
	only := q.join("job", nil, false, pauses())
	only.announce(time.Second)
	only.draw(4, 0)
	said := only.announce(3 * time.Second)
	left, inherited := only.passOn(nil, said)
	if left != (fanout.Position{Ticket: 5, TTL: 3 * time.Second}) || inherited {
		t.Errorf("the release gives up %+v", left)
	}
	if only.Leave(); *givenUp != 0 {
		t.Errorf("%d is given up before the release", *givenUp)
	}
}

func TestNoTicketIsDrawnTwiceByOneLocker(t *testing.T) {
	q, _ := fairQueues()
	drawn := make(map[int64]bool)
	for _, key := range []string{"one", "two", "one"} { // the nodes have forgotten their largest
		e := q.join(key, nil, false, pauses())
		e.announce(time.Second)
		if !e.draw(0, 0) || drawn[e.ticket] {
			t.Errorf("ticket %d", e.ticket)
		}
		drawn[e.ticket] = true
		e.Leave()
	}
}
