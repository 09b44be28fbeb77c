package election

import (
	"context"
	"fmt"

	"github.com/quorumlock/quorumlock/internal/register"
)

// A Kind says what an observer is told of.
type Kind int

const (
	Unknown Kind = iota // too few masters answer to say who leads; Err says why
	None                // nobody leads
	Leads               // Leader leads, and has proclaimed its value
)

func (k Kind) String() string {
	switch k {
	case Unknown:
		return "unknown"
	case None:
		return "none"
	case Leads:
		return "leads"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// A Change is what an observer is told. The zero Change, that of a closed channel, is Unknown.
type Change struct {
	Kind   Kind
	Leader Leader
	Err    error // if Kind is Unknown; nil after the channel was closed
}

// Observe reports who leads: first the state at present, and then each change: a new leader, a
// new value of the leader, that nobody leads, and that too few masters answer to say so.
//
// What is reported was confirmed by a majority, unless Leader.Confirmed is not set, so it never
// goes back to an earlier term or value. None may be wrong for a moment: of a leader that only just
// has a majority of the masters, it may be reported while one of these is out of reach, and the
// same leader again. Some changes are left out where they follow each other quickly, and for a slow
// reader: the channel holds the newest only. A change is reported at once if the client can
// subscribe, and otherwise, or if the message is lost, within about a second. The end of a leader
// that died is reported when its keys expire: a TTL after it renewed them last. Unknown is reported
// when reads have failed for two node timeouts.
//
// All observers of one election on one Locker share one goroutine, one read for each change, and
// the subscriptions of the process.
//
// The channel is closed when ctx ends or the Locker closes: read it with range. The error matches
// [redlock.ErrClosed].
func (e *Election) Observe(ctx context.Context) (<-chan Change, error) {
	return register.Watch(ctx, e.registers, e.name, true, func(r register.Reading) Change {
		c := Change{Kind: Kind(r.Kind), Err: r.Err}
		if c.Kind == Leads {
			c.Leader = leader(r.Value)
			c.Leader.Holder = register.Label(r.Holder)
		}
		return c
	})
}
