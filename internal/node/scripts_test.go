package node

import "testing"

// A release that nobody waits for is the command that is sent most.
func TestReleasingALockNamesNoMoreKeysThanItNeeds(t *testing.T) {
	for what, c := range map[string]struct {
		mark WaiterFlag
		keys int64
	}{
		"alone":               {WaiterFlag{}, 1},
		"nobody is in line":   {WaiterFlag{ID: "me"}, 2},
		"others are in line":  {WaiterFlag{ID: "me", Position: QueuePosition{TTL: 1}}, 4},
		"it was in line":      {WaiterFlag{ID: "me", Position: QueuePosition{Ticket: 7, TTL: 1}}, 4},
		"it goes out of line": {WaiterFlag{ID: "me", Position: QueuePosition{Ticket: 7}}, 4},
	} {
		args := NewRequest(Release, NewEntry("key", "value"), 0, c.mark).preferredArgs
		if args[2] != c.keys {
			t.Errorf("%s: %v", what, args)
		}
	}
}
