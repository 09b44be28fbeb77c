package main

import (
	"fmt"
	"time"
)

// A kind is what a fault does.
type kind string

const (
	freeze    kind = "freeze"          // SIGSTOP of a server, then SIGCONT
	kill      kind = "kill"            // SIGKILL, and a start with its data
	lateEmpty kind = "return empty"    // SIGKILL, and a start without data when what it forgot has expired
	forget    kind = "forget"          // SIGKILL, and a start without data at once: outside the assumptions
	wipe      kind = "flushall"        // all keys are deleted: outside the assumptions
	pause     kind = "client pause"    // CLIENT PAUSE
	sleep     kind = "debug sleep"     // DEBUG SLEEP
	memory    kind = "out of memory"   // maxmemory of a byte: writes are refused
	flush     kind = "script flush"    // scripts are forgotten
	replica   kind = "read only"       // REPLICAOF a master that is not there: writes are refused, data stay
	denied    kind = "no rights"       // ACL: the user may touch no key
	full      kind = "full"            // maxclients: new connections are refused
	tail      kind = "tail lost"       // SIGKILL, and a start without the last writes: outside the assumptions
	delay     kind = "delay"           // a worker's network is slow
	trickle   kind = "trickle"         // it brings a byte at a time
	torn      kind = "torn replies"    // some connections break in the midst of a reply
	double    kind = "doubled"         // what a worker sends comes once more, later and on another connection
	cut       kind = "cut"             // connections break, new ones are refused
	idleCut   kind = "idle cuts"       // connections that were idle end with the next request
	slowDial  kind = "slow dials"      // connections break, and new ones take long
	proxied   kind = "proxy errors"    // an error comes instead of the server's answer
	partition kind = "partition"       // nothing comes through between a worker and some nodes
	noRequest kind = "requests held"   // what a worker sends does not arrive
	noReply   kind = "replies held"    // what it sends arrives, the answers do not
	stop      kind = "process stopped" // SIGSTOP of a worker, mostly for longer than the TTL
	die       kind = "process killed"  // SIGKILL of a worker, and a start of another one
)

// inside are the kinds that the lock has to survive, most of them under fire several
// times for each deal of the deck.
var inside = map[kind]int{
	freeze: 3, kill: 3, lateEmpty: 1, pause: 2, sleep: 2, memory: 2, flush: 1, replica: 1, denied: 1, full: 1,
	delay: 2, trickle: 1, torn: 1, double: 2, cut: 2, idleCut: 2, slowDial: 2, proxied: 2, partition: 2, noRequest: 1, noReply: 2, stop: 4, die: 4,
}

// outside are the kinds that come on top where nodes may forget.
var outside = map[kind]int{forget: 5, tail: 3, wipe: 2}

// order is the one of tables and legends.
var order = []kind{
	freeze, kill, lateEmpty, forget, tail, wipe, pause, sleep, memory, flush, replica, denied, full,
	delay, trickle, torn, double, cut, idleCut, slowDial, proxied, partition, noRequest, noReply, stop, die,
}

// ofServer reports whether the kind happens to servers; of the others, stop and die happen
// to a worker, the rest to the links between one worker and some servers.
func (k kind) ofServer() bool {
	switch k {
	case freeze, kill, lateEmpty, forget, tail, wipe, pause, sleep, memory, flush, replica, denied, full:
		return true
	}
	return false
}

// ofWorker reports whether the kind happens to a worker.
func (k kind) ofWorker() bool { return k == stop || k == die }

// takesDown reports whether the server is gone meanwhile.
func (k kind) takesDown() bool { return k == kill || k == lateEmpty || k == forget || k == tail }

// A Fault is one entry of the schedule; what became of it is noted in it.
type Fault struct {
	Kind    kind
	Nodes   []int `json:",omitempty"` // that it happens to, or that the links lead to
	Process int   // the worker, -1 for a fault of servers
	Begin   time.Duration
	End     time.Duration
	Slow    time.Duration `json:",omitempty"` // delay: of each piece, and up to as much again
	How     string        `json:",omitempty"` // one of the ways in which the kind can happen

	Fired bool   `json:",omitempty"` // it was carried out
	Felt  int    `json:",omitempty"` // evidence: late or refused answers, pieces held, connections cut
	Err   string `json:",omitempty"` // it could not be carried out or reverted
}

// What becomes of what a link held when it holds nothing any more.
const (
	late  = "late"  // it arrives
	lossy = "lossy" // its connection is cut
)

// leading is how the worker is killed that leads when it is time to.
const leading = "leading"

// What trickles.
const (
	requests = "requests"
	replies  = "replies"
)

func (f Fault) String() string {
	where := fmt.Sprintf("nodes %v", oneBased(f.Nodes))
	switch {
	case f.Kind.ofWorker():
		where = fmt.Sprintf("worker %d", f.Process+1)
	case f.Process >= 0:
		where = fmt.Sprintf("worker %d and nodes %v", f.Process+1, oneBased(f.Nodes))
	}
	return fmt.Sprintf("%s: %s, %v", f.Kind, where, (f.End - f.Begin).Round(time.Millisecond))
}

func oneBased(indexes []int) []int {
	numbers := make([]int, len(indexes))
	for i, n := range indexes {
		numbers[i] = n + 1
	}
	return numbers
}
