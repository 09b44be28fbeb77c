package node

import "testing"

// A release that nobody waits for is the command that is sent most.
func TestReleasingALockNamesNoMoreKeysThanItNeeds(t *testing.T) {
	for what, c := range map[string]struct {
		mark Mark
		keys int64
	}{
		"alone":               {Mark{}, 1},
		"nobody is in line":   {Mark{Self: "me"}, 2},
		"others are in line":  {Mark{Self: "me", Line: Line{Lease: 1}}, 4},
		"it was in line":      {Mark{Self: "me", Line: Line{Ticket: 7, Lease: 1}}, 4},
		"it goes out of line": {Mark{Self: "me", Line: Line{Ticket: 7}}, 4},
	} {
		args := NewRequest(Release, NewLease("key", "value"), 0, c.mark).first
		if args[2] != c.keys {
			t.Errorf("%s: %v", what, args)
		}
	}
}
