package main

import (
	"fmt"
	"time"
)

// A schedule is one run before it happens. Together with the library it says everything
// that follows.
type schedule struct {
	Seed    uint64
	Outside bool // it leaves the assumptions
	Real    bool // with real clients and scripts

	Nodes     int
	NodeRates []int64         // parts per million
	NodeTimes []time.Duration // how far their clocks are set wrong
	Clients   []clientSpec
	Names     []string
	Pace      pace // how long messages take

	TTL         time.Duration
	NodeTimeout time.Duration
	Retry       [2]time.Duration
	Fair        bool          // all calls are
	Lease       time.Duration // of positions in the wait queue
	Fencing     bool          // all locks have tokens
	Guard       bool          // all clients guard against restarts: nodes may forget
	New         bool          // and the nodes are new: they do not count yet

	Sets    bool // some calls take several locks at once
	Readers bool // some take a lock with others
	Slots   int  // the most slots of a semaphore, 0 for none

	Elects bool // there is an election
	Boards bool // there is a board

	Rush     int  // callers that try a free lock at one instant in the end, 0 for none
	Away     int  // servers that are down then
	RushMore bool // some of the callers try a set, or to read

	Stream int // readers that come again and again in the end, 0 for none

	Length time.Duration // then all faults end
	Events []event
}

// A clientSpec is one process.
type clientSpec struct {
	Pipelined    bool  // its client library queues, and calls back
	Stubborn     bool  // or does not return before its own timeout
	NoSubscriber bool  // or cannot subscribe
	Rate         int64 // of its clock, parts per million
}

// A pace is the usual delay of a message, and how odd odd ones are.
type pace struct{ Least, Most, Odd time.Duration }

// A kind is what an event does.
type kind string

const (
	lockCall    kind = "lock"
	tryCall     kind = "try"
	asyncCall   kind = "async"
	lockAll     kind = "lock all"
	tryAll      kind = "try all"
	asyncAll    kind = "async all"
	readCall    kind = "read"
	tryRead     kind = "try read"
	acquireSlot kind = "acquire slot"
	trySlot     kind = "try slot"
	doSlot      kind = "do with slot"
	downgrade   kind = "downgrade"
	pluck       kind = "delete one key of" // a set, by hand
	extendCall  kind = "extend"
	unlockCall  kind = "unlock"
	cancelCall  kind = "cancel"
	campaign    kind = "campaign"     // and then proclaim, and resign
	tryElect    kind = "try campaign" // the same
	holderCall  kind = "publish as holder"
	publish     kind = "publish"
	latestCall  kind = "latest"
	watchCall   kind = "watch"
	leaderCall  kind = "leader"
	observe     kind = "observe"
	die         kind = "die"
	setClock    kind = "set client clock"
	cut         kind = "cut"            // both ways
	cutRequest  kind = "lose requests"  // of one client to one node
	cutReply    kind = "lose replies"   // to one client from one node
	lossy       kind = "lossy"          // one message in four is lost
	resets      kind = "resets"         // connections break
	doubles     kind = "doubles"        // requests are carried out again, later
	slow        kind = "slow"           // messages are late
	idleCut     kind = "idle cuts"      // a connection has ended, which shows when something is sent
	slowDial    kind = "slow dials"     // a connection takes long to open, and does not in the end
	proxyError  kind = "proxy errors"   // a proxy gives up, and says so, before its server has answered
	demote      kind = "demoted"        // the server may not be written to, and keeps its data
	freeze      kind = "freeze"         // the server stops; sockets keep what comes
	tear        kind = "tear"           // a client reaches one of three servers, others two
	restart     kind = "restart"        // it keeps its data and loses its scripts
	save        kind = "save"           // its data, for a restart
	restart0    kind = "restart empty"  // outside the assumptions without the guard, as the events below
	restartOld  kind = "restart of old" // it has what was saved, or nothing
	flushAll    kind = "flush"          // it loses its data and keeps its scripts
	nodeJump    kind = "set node clock" // forward: keys expire early
)

// An event is what happens at one time. What it does not need is zero.
type event struct {
	At     time.Duration
	Kind   kind
	Client int
	Node   int           // server
	Call   int           // number of a call: of this one, or that this is about
	For    time.Duration // how long a fault lasts, a lock is held, or a clock jumps

	// Of calls.
	Name      string
	Patience  time.Duration // 0: as long as it takes
	Pause     time.Duration // that it is stopped for between the first and the second request
	KeepAlive bool
	Fair      bool
	Forget    bool     // it is never unlocked, and expires if it can
	All       []string // of a set of locks; Name has all of them
	Pluck     bool     // one key of them is deleted by hand right before the set is unlocked
	Slots     int      // of a semaphore; Name is its name

	// Of elections and boards.
	Times     int           // how often it proclaims, publishes or reads
	Retention time.Duration // of what it publishes
}

func (e event) String() string {
	switch e.Kind {
	case campaign, tryElect, holderCall:
		return fmt.Sprintf("call %d: %s %s, to hold for %v, %d values, patience %v, pause %v, forget %t", e.Call, e.Kind, e.Name, e.For, e.Times, e.Patience, e.Pause, e.Forget)
	case publish, latestCall, leaderCall:
		return fmt.Sprintf("call %d: %s %s, %d times in %v, retention %v, patience %v, pause %v", e.Call, e.Kind, e.Name, e.Times, e.For, e.Retention, e.Patience, e.Pause)
	case watchCall, observe:
		return fmt.Sprintf("call %d: %s %s for %v", e.Call, e.Kind, e.Name, e.For)
	case lockCall, tryCall, asyncCall, lockAll, tryAll, asyncAll, readCall, tryRead:
		return fmt.Sprintf("call %d: %s %s, to hold for %v, keep-alive %t, fair %t, patience %v, pause %v, forget %t", e.Call, e.Kind, e.Name, e.For, e.KeepAlive, e.Fair, e.Patience, e.Pause, e.Forget)
	case acquireSlot, trySlot, doSlot:
		return fmt.Sprintf("call %d: %s of %s, one of %d, to hold for %v, keep-alive %t, fair %t, patience %v, pause %v, forget %t", e.Call, e.Kind, e.Name, e.Slots, e.For, e.KeepAlive, e.Fair, e.Patience, e.Pause, e.Forget)
	case extendCall, unlockCall, cancelCall, downgrade, pluck:
		return fmt.Sprintf("%s call %d", e.Kind, e.Call)
	case die:
		return "the process dies, and is started again"
	case setClock:
		return fmt.Sprintf("its clock is set by %v", e.For)
	case nodeJump:
		return fmt.Sprintf("its clock is set by %v", e.For)
	case flushAll:
		return "FLUSHALL"
	case tear:
		return fmt.Sprintf("client%d is cut off from it, and the next one is down", e.Client+1)
	case save:
		return "its data is saved"
	}
	return fmt.Sprintf("%s for %v", e.Kind, e.For)
}

// onLink reports whether it is between one client and one server.
func (e event) onLink() bool { return e.Kind == cut || e.Kind == cutRequest || e.Kind == cutReply }

// onClient reports whether it is about one client.
func (e event) onClient() bool {
	switch e.Kind {
	case extendCall, unlockCall, cancelCall, downgrade, pluck, die, setClock:
		return true
	}
	return e.takes() || e.publishes()
}

// takes reports whether it is a call that takes a lock.
func (e event) takes() bool {
	switch e.Kind {
	case lockCall, tryCall, asyncCall, lockAll, tryAll, asyncAll, readCall, tryRead, acquireSlot, trySlot, doSlot, campaign, tryElect, holderCall:
		return true
	}
	return false
}

// waits reports whether the call waits until the lock is free.
func (e event) waits() bool {
	switch e.Kind {
	case tryCall, tryElect, tryAll, tryRead, trySlot:
		return false
	}
	return e.takes()
}

// reads reports whether the call is to read with others.
func (e event) reads() bool { return e.Kind == readCall || e.Kind == tryRead }

// names are those of the locks that a call takes, or of which it takes one.
func (e event) names() []string {
	switch {
	case e.All != nil:
		return e.All
	case e.Slots > 0:
		return slotNames(e.Name, e.Slots)
	}
	return []string{e.Name}
}

// publishes reports whether it is about published values, without a lock.
func (e event) publishes() bool {
	switch e.Kind {
	case publish, latestCall, watchCall, leaderCall, observe:
		return true
	}
	return false
}
