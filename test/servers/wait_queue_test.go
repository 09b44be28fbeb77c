package servers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
)

// What one master does with the wait queue, command by command.

// A step is one command in a story about a wait queue, and what must come of it.
type step struct {
	by       string // a Locker, or the readers of one: "-r"
	verb     node.Verb
	position node.QueuePosition
	status   node.Status
	first    int64  // the ticket of the head, as the answer says
	others   string // the waiter that is notified, other than the releasing one
}

var queues = map[string][]step{
	"tickets decide, not the order of the attempts": {
		{by: "holder", verb: node.Acquire, status: node.Granted},
		{by: "two", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Taken, first: 2},
		{by: "one", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Taken, first: 1},
		{by: "holder", verb: node.Release, status: node.Deleted, others: "one"},
		{by: "two", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Queued, first: 1},
		{by: "none", verb: node.AcquireInTurn, status: node.Queued, first: 1},
		{by: "one", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Granted},
		{by: "one", verb: node.Release, position: node.QueuePosition{Ticket: 1}, status: node.Deleted, others: "two"},
	},
	"a grant keeps the position for the next waiter of the same Locker": {
		{by: "one", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 1, Next: 2, Last: 2}, status: node.Granted},
		{by: "two", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 3, Last: 3}, status: node.Taken, first: 2},
		{by: "one", verb: node.Release, position: node.QueuePosition{Ticket: 1}, status: node.Deleted},
		{by: "two", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 3, Last: 3}, status: node.Queued, first: 2},
		{by: "one", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Granted},
		{by: "one", verb: node.Release, position: node.QueuePosition{Ticket: 2}, status: node.Deleted, others: "two"},
	},
	"a grant before another waiter leaves a flag": {
		{by: "one", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 1, Next: 2, Last: 2}, status: node.Granted},
		{by: "flag", verb: node.Inspect, status: node.Taken},
	},
	"a grant without another waiter leaves none": {
		{by: "one", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Granted},
		{by: "flag", verb: node.Inspect, status: node.Absent},
	},
	"a rollback restores the position": {
		{by: "one", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Granted},
		{by: "two", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Taken, first: 2},
		{by: "one", verb: node.Release, position: node.QueuePosition{Ticket: 1, Requeue: true}, status: node.Deleted},
		{by: "two", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Queued, first: 1},
	},
	"a withdrawal removes no later position of its Locker": {
		{by: "holder", verb: node.Acquire, status: node.Granted},
		{by: "one", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 5, Last: 5}, status: node.Taken, first: 5},
		{by: "one", verb: node.Release, position: node.QueuePosition{Ticket: 4}, status: node.Absent},
		{by: "two", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 6, Last: 6}, status: node.Taken, first: 5},
		{by: "one", verb: node.Release, position: node.QueuePosition{Ticket: 5}, status: node.Absent},
		{by: "two", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 6, Last: 6}, status: node.Taken, first: 6},
	},
	"the release of a reader leaves another one that was let in the way back to its position": {
		{by: "one-r", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Granted, first: 1},
		{by: "two-r", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Granted, first: 2},
		{by: "one-r", verb: node.Release, position: node.QueuePosition{Ticket: 1}, status: node.Deleted},
		{by: "one-r", verb: node.Release, position: node.QueuePosition{Ticket: 1}, status: node.Absent},
		{by: "two-r", verb: node.Release, position: node.QueuePosition{Ticket: 2, Requeue: true}, status: node.Deleted},
		{by: "writer", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 3, Last: 3}, status: node.Queued, first: 2},
	},
	"a reader does not wait for a reader that comes first and has not asked again": {
		{by: "holder", verb: node.Acquire, status: node.Granted},
		{by: "one-r", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Taken, first: 1},
		{by: "two-r", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Taken, first: 2},
		{by: "holder", verb: node.Release, status: node.Deleted, others: "one-r"},
		{by: "two-r", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Granted, first: 2},
	},
	"a position lasts as long as its lease": {
		{by: "holder", verb: node.Acquire, status: node.Granted},
		{by: "two", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Taken, first: 2},
		{by: "one", verb: node.AcquireInTurn, position: node.QueuePosition{Ticket: 1, Last: 1, TTL: shortLease}, status: node.Taken, first: 1},
		{by: "none", verb: node.AcquireInTurn, position: node.QueuePosition{TTL: shortLease}, status: node.Taken, first: 1},
		{by: "time"}, // all keys of the queue would be gone if the short lease counted for both
		{by: "none", verb: node.AcquireInTurn, status: node.Taken, first: 2},
		{by: "holder", verb: node.Release, status: node.Deleted, others: "two"},
		{by: "none", verb: node.AcquireInTurn, status: node.Queued, first: 2},
	},
}

const shortLease = time.Second // two questions come within it, on a busy machine too

func TestWhatAMasterKnowsAboutTheWaitQueue(t *testing.T) {
	t.Parallel()
	for name, steps := range queues {
		t.Run(name, func(t *testing.T) {
			withTwo(t, func(t *testing.T, lib library) {
				for _, b := range backends(t, lib, func(p pool.Pool) pool.Pool { return p })[:2] {
					for i, s := range steps {
						if s.by == "time" {
							time.Sleep(shortLease + shortLease/4)
							continue
						}
						key := "job"
						if s.by == "flag" {
							key = "{job}:wait"
						}
						if s.position.TTL == 0 {
							s.position.TTL = time.Hour
						}
						entry := node.NewEntry(key, "rl1:value of "+s.by)
						if strings.HasSuffix(s.by, "-r") {
							entry = entry.Shared(false)
						}
						a := b.askFor(t, s.verb, entry, time.Hour, node.WaiterFlag{ID: s.by, TTL: time.Hour, Position: s.position})
						if a.Status != s.status || a.First != s.first || a.NextWaiter != s.others {
							t.Errorf("%s: step %d, %q: %+v", b.name, i, s.by, a)
						}
					}
				}
			})
		})
	}
}

// The slots of a semaphore have one queue: the holder of one slot may go back into it after another
// slot was given up.
func TestASlotThatIsGivenUpLeavesAnotherHolderTheWayBackToItsPosition(t *testing.T) {
	oneMaster(t, func(t *testing.T, s *redisproc.Server, ask func(node.Verb, node.Entry, time.Duration, node.WaiterFlag) node.Answer) {
		slots := node.NewSlots("job/", "job/0", "job/1")
		first, second, third := node.NewEntry("job/", one).AnyOf(slots, 0), node.NewEntry("job/", two).AnyOf(slots, 0), node.NewEntry("job/", alone).AnyOf(slots, 0)
		at := func(id string, ticket int64, requeue bool) node.WaiterFlag {
			return node.WaiterFlag{ID: id, TTL: time.Hour, Position: node.QueuePosition{Ticket: ticket, Last: ticket, Count: 1, TTL: time.Hour, Requeue: requeue}}
		}
		for i, step := range []struct {
			verb   node.Verb
			entry  node.Entry
			flag   node.WaiterFlag
			status node.Status
		}{
			{node.AcquireInTurn, first, at("one", 1, false), node.Granted},
			{node.AcquireInTurn, second, at("two", 2, false), node.Granted},
			{node.Release, first.Chosen(0), at("one", 1, false), node.Deleted},
			{node.Release, second, at("two", 2, true), node.Deleted}, // the attempt had no majority
			{node.AcquireInTurn, third, at("three", 3, false), node.Queued},
		} {
			if a := ask(step.verb, step.entry, time.Hour, step.flag); a.Status != step.status {
				t.Errorf("step %d: %+v, want status %d", i, a, step.status)
			}
		}
	})
}
