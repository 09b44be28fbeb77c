package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

const (
	nodeCount = 5
	majority  = nodeCount/2 + 1

	// The script is written for standardLength; a shorter or longer demo
	// stretches it, the TTL included, so that the same events happen.
	standardLength = 25 * time.Second
	standardTTL    = 2 * time.Second

	// leastTTL bounds the TTL of a short demo: a quarter of it, the node timeout, is
	// what a busy machine needs to answer. See TestADemoOfAnyLengthShowsTheSameStory.
	leastTTL = 1500 * time.Millisecond
)

// An action is what a step of the script does.
type action int

const (
	stop       action = iota
	freeze            // like SIGSTOP: it takes commands and answers none
	thaw              //
	start             // with its data
	startEmpty        // without: only after a TTL in which it was down
	longJob           // the holder keeps the lock until endLongJob
	endLongJob        //
	forget            // delete the lock's key while it is held: breaks exclusion
)

type step struct {
	at    time.Duration
	do    action
	nodes []int // counted from 1
}

// script is what happens to the nodes. It stays inside the assumptions under
// which there is at most one holder: a node may stop, hang and come back, but
// what it acknowledged it remembers for as long as it counts. A node that comes
// back empty was away for longer than a TTL ("delayed restarts" on the Redis
// page "Distributed Locks with Redis"), so what it forgot has expired.
var script = []step{
	{at: 2000 * time.Millisecond, do: stop, nodes: []int{2}},
	{at: 4500 * time.Millisecond, do: freeze, nodes: []int{5}},
	{at: 6500 * time.Millisecond, do: start, nodes: []int{2}},
	{at: 7500 * time.Millisecond, do: thaw, nodes: []int{5}},
	{at: 8500 * time.Millisecond, do: longJob},
	{at: 10000 * time.Millisecond, do: freeze, nodes: []int{1, 2, 4}},
	{at: 13500 * time.Millisecond, do: endLongJob},
	{at: 14000 * time.Millisecond, do: thaw, nodes: []int{1, 2, 4}},
	{at: 15500 * time.Millisecond, do: stop, nodes: []int{4}},
	{at: 16000 * time.Millisecond, do: longJob},
	{at: 17500 * time.Millisecond, do: stop, nodes: []int{2, 3}},
	{at: 21000 * time.Millisecond, do: endLongJob},
	{at: 21500 * time.Millisecond, do: start, nodes: []int{2, 3}},
	{at: 22500 * time.Millisecond, do: startEmpty, nodes: []int{4}},
}

// sabotage is what breaks exclusion: all nodes forget a lock while it is held. (If it
// were just a majority, all of these would have to grant to the same worker.) It happens several
// times, since the holder's next renewal may come before another worker's request.
func sabotage() (steps []step) {
	for _, at := range []time.Duration{8700 * time.Millisecond, 16200 * time.Millisecond} { // in both long jobs
		for range 6 {
			steps = append(steps, step{at: at, do: forget, nodes: []int{1, 2, 3, 4, 5}})
			at += 200 * time.Millisecond
		}
	}
	return steps
}

// assumptions is what the summary says about the script.
const assumptions = "The faults stayed inside the assumptions: nodes came back with their data, or\nempty after more than a TTL."

const assumptionsBroken = "The faults did not stay inside the assumptions: nodes forgot a lock that they\nhad acknowledged."

// A director plays the script.
type director struct {
	cluster *redlocktest.Cluster
	board   *board
	jobs    *jobs
	scale   func(time.Duration) time.Duration
	key     string
}

// play returns when the script is over, or ctx ends.
func (d *director) play(ctx context.Context, steps []step) error {
	began := time.Now()
	for _, s := range steps {
		select {
		case <-time.After(time.Until(began.Add(d.scale(s.at)))):
		case <-ctx.Done():
			return nil
		}
		if err := d.perform(s); err != nil {
			return err
		}
	}
	return nil
}

func (d *director) perform(s step) error {
	switch s.do {
	case longJob:
		d.jobs.beginLong()
		d.board.note(faultEvent, "a long job comes: the present holder keeps the lock")
		return nil
	case endLongJob:
		d.jobs.endLong()
		return nil
	}
	d.board.note(faultEvent, s.text())
	for _, number := range s.nodes {
		node := d.cluster.Node(number - 1)
		state := up
		var err error
		switch s.do {
		case stop:
			node.Stop()
			state = stopped
		case freeze:
			node.Freeze()
			state = frozen
		case thaw:
			node.Thaw()
		case start:
			err = node.Start()
		case startEmpty:
			err = node.StartEmpty()
		case forget:
			node.Delete(d.key)
		}
		if err != nil {
			return err
		}
		d.board.setNode(number-1, state)
	}
	return nil
}

var predicates = map[action][2]string{ // of one node, of several
	stop:       {"is stopped", "are stopped"},
	freeze:     {"freezes", "freeze"},
	thaw:       {"thaws", "thaw"},
	start:      {"is back with its data", "are back with their data"},
	startEmpty: {"is back without its data, after more than a TTL", "are back without their data, after more than a TTL"},
	forget:     {"forgets the lock", "forget the lock"},
}

// text describes what a step does to the nodes.
func (s step) text() string {
	if len(s.nodes) == 1 {
		return fmt.Sprintf("node %d %s", s.nodes[0], predicates[s.do][0])
	}
	numbers := make([]string, len(s.nodes))
	for i, n := range s.nodes {
		numbers[i] = fmt.Sprint(n)
	}
	last := len(numbers) - 1
	return fmt.Sprintf("nodes %s and %s %s", strings.Join(numbers[:last], ", "), numbers[last], predicates[s.do][1])
}
