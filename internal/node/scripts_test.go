package node

import "testing"

// A release without waiters is the most frequent command.
func TestReleasingALockNamesNoMoreKeysThanItNeeds(t *testing.T) {
	for what, c := range map[string]struct {
		flag WaiterFlag
		keys int64
	}{
		"alone":               {WaiterFlag{}, 1},
		"the queue is empty":  {WaiterFlag{ID: "me"}, 2},
		"others are queued":   {WaiterFlag{ID: "me", Position: QueuePosition{TTL: 1}}, 4},
		"it was queued":       {WaiterFlag{ID: "me", Position: QueuePosition{Ticket: 7, TTL: 1}}, 4},
		"it leaves the queue": {WaiterFlag{ID: "me", Position: QueuePosition{Ticket: 7}}, 4},
	} {
		args := NewRequest(Release, NewEntry("key", "value"), 0, c.flag).preferredArgs
		if args[2] != c.keys {
			t.Errorf("%s: %v", what, args)
		}
	}
}
