package board

import (
	"context"
	"fmt"

	"github.com/quorumlock/quorumlock/internal/register"
)

// A Kind says what a watcher is told of.
type Kind int

const (
	Unknown   Kind = iota // too few masters answer; Err says why
	None                  // nothing is known of a value, as with [ErrNotPublished]
	Published             // Entry has a new value
	Expired               // the value has expired; Entry has its version
)

func (k Kind) String() string {
	switch k {
	case Unknown:
		return "unknown"
	case None:
		return "none"
	case Published:
		return "published"
	case Expired:
		return "expired"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// A Change is what a watcher is told. The zero Change, that of a closed channel, is Unknown.
type Change struct {
	Kind  Kind
	Entry Entry
	Err   error // if Kind is Unknown; nil after the channel was closed
}

// Watch reports the newest value of a path: first the state at present, and then each change.
//
// A value is reported when a majority has it, so what one watcher was told, all readers find.
// (Where Entry.Confirmed is not set, that is not sure.) Of values that follow each other quickly
// some are left out, and so they are for a slow reader: the channel holds the newest change only. A
// watcher never goes back to an earlier version. Published news arrive at once if the client can
// subscribe, and otherwise, or if the message is lost, within about a second. Unknown is reported
// when reads have failed for two node timeouts, and the value again when a majority answers.
//
// All watchers of a path on one Locker share one goroutine, and one read for each change. There is one
// subscription for each client of a master, which all Lockers on that client share.
//
// The channel is closed when ctx ends or the Locker closes: read it with range. The error is that
// of a path which cannot be one, or matches [redlock.ErrClosed].
func (b *Board) Watch(ctx context.Context, path string) (<-chan Change, error) {
	return register.Watch(ctx, b.registers, path, false, func(r register.Reading) Change {
		return Change{Kind: Kind(r.Kind), Entry: entry(path, r.Value), Err: r.Err}
	})
}
