package quorum_test

import (
	"errors"
	"testing"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/redlock"
)

// Published values, with the real clients and Lua, in virtual time.

// A value that one master has, and that another one cannot store for a while, is not shown: the next reader
// may not find it. Only a user that may not write is shown it, and told that it is not confirmed.
func TestInABubbleAValueIsNotShownWhileAMasterCannotStoreIt(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		b, err := board.New(q.ours)
		if err != nil {
			q.Fatal(err)
		}
		if _, err := b.Publish(background, "config", "value"); err != nil {
			q.Fatal(err)
		}
		q.Node(2).Stop()
		q.Node(1).Stop()
		if err := q.Node(1).StartEmpty(); err != nil {
			q.Fatal(err)
		}
		q.Node(1).Demote()
		if e, err := b.Latest(background, "config"); !errors.Is(err, redlock.ErrNoQuorum) {
			q.Errorf("%+v, %v", e, err)
		}
		q.Node(1).Promote()
		if e, err := b.Latest(background, "config"); err != nil || e.Value != "value" || !e.Confirmed {
			q.Errorf("%+v, %v", e, err)
		}
		if err := q.Node(2).Start(); err != nil {
			q.Fatal(err)
		}
	})
}
