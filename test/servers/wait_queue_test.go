package servers_test

import (
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

// What one master does with the line of those who wait, command by command.

// A step is one command in a story about a line, and what must come of it.
type step struct {
	by     string // a Locker
	verb   node.Verb
	line   node.QueuePosition
	status node.Status
	first  int64  // the ticket of who is first, as the answer says
	others string // who is told, other than the one who releases
}

var lines = map[string][]step{
	"tickets decide, not the order of asking": {
		{by: "holder", verb: node.Acquire, status: node.Granted},
		{by: "two", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Taken, first: 2},
		{by: "one", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Taken, first: 1},
		{by: "holder", verb: node.Release, status: node.Deleted, others: "one"},
		{by: "two", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Queued, first: 1},
		{by: "none", verb: node.AcquireInTurn, status: node.Queued, first: 1},
		{by: "one", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Granted},
		{by: "one", verb: node.Release, line: node.QueuePosition{Ticket: 1}, status: node.Deleted, others: "two"},
	},
	"a grant keeps the place for the next of the same Locker": {
		{by: "one", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 1, Next: 2, Last: 2}, status: node.Granted},
		{by: "two", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 3, Last: 3}, status: node.Taken, first: 2},
		{by: "one", verb: node.Release, line: node.QueuePosition{Ticket: 1}, status: node.Deleted},
		{by: "two", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 3, Last: 3}, status: node.Queued, first: 2},
		{by: "one", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Granted},
		{by: "one", verb: node.Release, line: node.QueuePosition{Ticket: 2}, status: node.Deleted, others: "two"},
	},
	"a grant with somebody behind leaves a mark": {
		{by: "one", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 1, Next: 2, Last: 2}, status: node.Granted},
		{by: "mark", verb: node.Inspect, status: node.Taken},
	},
	"a grant with nobody behind leaves none": {
		{by: "one", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Granted},
		{by: "mark", verb: node.Inspect, status: node.Absent},
	},
	"who retreats goes back to his place": {
		{by: "one", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 1, Last: 1}, status: node.Granted},
		{by: "two", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Taken, first: 2},
		{by: "one", verb: node.Release, line: node.QueuePosition{Ticket: 1, Requeue: true}, status: node.Deleted},
		{by: "two", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Queued, first: 1},
	},
	"who leaves takes no later place of his Locker along": {
		{by: "holder", verb: node.Acquire, status: node.Granted},
		{by: "one", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 5, Last: 5}, status: node.Taken, first: 5},
		{by: "one", verb: node.Release, line: node.QueuePosition{Ticket: 4}, status: node.Absent},
		{by: "two", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 6, Last: 6}, status: node.Taken, first: 5},
		{by: "one", verb: node.Release, line: node.QueuePosition{Ticket: 5}, status: node.Absent},
		{by: "two", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 6, Last: 6}, status: node.Taken, first: 6},
	},
	"a place lasts as long as its lease": {
		{by: "holder", verb: node.Acquire, status: node.Granted},
		{by: "two", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 2, Last: 2}, status: node.Taken, first: 2},
		{by: "one", verb: node.AcquireInTurn, line: node.QueuePosition{Ticket: 1, Last: 1, TTL: shortLease}, status: node.Taken, first: 1},
		{by: "none", verb: node.AcquireInTurn, line: node.QueuePosition{TTL: shortLease}, status: node.Taken, first: 1},
		{by: "time"}, // all keys of the line would be gone if the short lease counted for both
		{by: "none", verb: node.AcquireInTurn, status: node.Taken, first: 2},
		{by: "holder", verb: node.Release, status: node.Deleted, others: "two"},
		{by: "none", verb: node.AcquireInTurn, status: node.Queued, first: 2},
	},
}

const shortLease = time.Second // two questions come within it, on a busy machine too

func TestWhatAMasterKnowsAboutTheWaitQueue(t *testing.T) {
	t.Parallel()
	for name, steps := range lines {
		t.Run(name, func(t *testing.T) {
			withTwo(t, func(t *testing.T, lib library) {
				for _, b := range backends(t, lib, func(p pool.Pool) pool.Pool { return p })[:2] {
					for i, s := range steps {
						if s.by == "time" {
							time.Sleep(shortLease + shortLease/4)
							continue
						}
						key := "job"
						if s.by == "mark" {
							key = "{job}:wait"
						}
						if s.line.TTL == 0 {
							s.line.TTL = time.Hour
						}
						a := b.askAs(t, s.verb, key, "value of "+s.by, time.Hour, node.WaiterFlag{ID: s.by, TTL: time.Hour, Position: s.line})
						if a.Status != s.status || a.First != s.first || a.NextWaiter != s.others {
							t.Errorf("%s: step %d, %q: %+v", b.name, i, s.by, a)
						}
					}
				}
			})
		})
	}
}
