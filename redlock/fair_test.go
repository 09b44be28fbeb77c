package redlock

import (
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
)

// Who joined after an attempt began gets no ticket from its answers: somebody may
// have been told to a majority in between.
func TestATicketComesFromAnAttemptThatBeganAfterTheCaller(t *testing.T) {
	l := newLines()
	forgotten := int64(0)
	l.forsaken = func(_ string, left fanout.Position) { forgotten += left.Ticket }
	first, _ := l.join("job", &settings{fair: true})
	plain, _ := l.join("job", &settings{})
	if said := first.says(time.Second); said.Ticket != 0 || said.Next != 0 || said.Last != 0 || said.Count != 2 {
		t.Errorf("at first: %+v", said)
	}
	late, _ := l.join("job", &settings{fair: true})
	if !first.draw(6, 3) || first.ticket != 7 || plain.ticket != 0 || late.ticket != 0 {
		t.Errorf("tickets %d, %d, %d", first.ticket, plain.ticket, late.ticket)
	}
	first.says(time.Second)
	if !first.draw(9, 3) || first.ticket != 7 || late.ticket != 10 {
		t.Errorf("tickets %d, %d, %d", first.ticket, plain.ticket, late.ticket)
	}
	plain.leave()
	if said := first.says(time.Second); said.Ticket != 7 || said.Next != 10 || said.Last != 10 || said.Count != 2 {
		t.Errorf("in the end: %+v", said)
	}
	if first.draw(20, 3) {
		t.Error("everybody had a ticket")
	}
	if ahead, known := late.position(); ahead != 10-3 || !known {
		t.Errorf("%d come first, known: %v", ahead, known)
	}
	if first.leave(); forgotten != 0 {
		t.Errorf("somebody is left, and the nodes are told to forget %d", forgotten)
	}
	last, _ := l.join("job", &settings{})
	if late.leave(); forgotten != 10 {
		t.Errorf("nobody with a ticket is left, and the nodes are told to forget %d", forgotten)
	}
	if last.leave(); forgotten != 10 {
		t.Errorf("the nodes are told again to forget: %d", forgotten)
	}
}

// The ear goes to the next in line only if the nodes keep a place for him: else he
// would wait for a message that names somebody else.
func TestTheNextInLineInheritsTheEarIfTheNodesKnowOfHim(t *testing.T) {
	for _, known := range []bool{true, false} {
		inBubble(t, 3, func(f *fixture) {
			l := &f.lines
			first, _ := l.join("job", &settings{fair: true})
			next, _ := l.join("job", &settings{fair: true})
			first.says(time.Second)
			first.draw(0, 0)
			r := &request{settings: &settings{}, said: first.says(time.Second), ear: &ear{}}
			if !known {
				r.said.Next = 0
			}
			lock := f.lock("other")
			if first.succeed(r, lock) != known || (next.inherit() == r.ear) != known {
				t.Errorf("known %v: wrong", known)
			}
			if next.inherit() != nil {
				t.Error("inherited twice")
			}
			select {
			case <-next.turn:
			default:
				t.Error("it is not the turn of the next")
			}
			next.leave()
			if err := lock.Unlock(f.t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
