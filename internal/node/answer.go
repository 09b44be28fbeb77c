package node

import (
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// Status is what a node answered.
type Status uint8

const (
	Failed        Status = iota // nothing usable: see Answer.Err
	Granted                     // Acquire, AcquireOrFlag, AcquireInTurn, Swap: the key holds the value; Publish: the record is stored
	Taken                       // Acquire, AcquireOrFlag, AcquireInTurn, Extend, Inspect, Swap, Read: another value holds the key
	Queued                      // AcquireInTurn, or Shared: the key is free, and other waiters come first
	TokenTooSmall               // Acquire, AcquireOrFlag, AcquireInTurn: the key is free, and the token too small
	Extended                    // Extend: the key held the value and was prolonged
	Deleted                     // Release: the key held the value and is gone; Expire: or will be, when its time has passed
	Absent                      // Extend, Inspect, Swap, Read: there is no key; Release, Expire, Publish: it does not hold the value
	Superseded                  // Publish: a larger version is there
)

// An Answer is the outcome of a request on one node. A round has one for each node, and its size
// matters: what is published is in fields of other verbs, see Record.
type Answer struct {
	Status     Status
	Found      bool  // Acquire, AcquireOrFlag, AcquireInTurn, if Granted: the key held the value before
	WellBefore bool  // an earlier call succeeded
	Index      uint8 // Acquire, AcquireOrFlag, AcquireInTurn: which of several keys the Status is about
	// InClient is set on the answer to a call that was given up while the client had it:
	// Receiver.Late follows.
	InClient bool
	// SentBefore is set if the request was sent before, on a connection that ended, or in a form that
	// was refused without proof. Then the outcome of that send is unknown, whatever the status
	// says. It was given up before At.
	SentBefore   bool
	Holder       string        // the value found, if Taken
	TTL          time.Duration // AcquireOrFlag, AcquireInTurn, Inspect: how long the key still lives, negative if for ever
	Last         int64         // AcquireInTurn: the largest ticket that the node has seen
	First        int64         // AcquireInTurn, if Taken or Queued: the ticket of the first in the queue, 0 if there is none
	Waiting      int64         // Inspect: how many callers are in the queue
	LargestToken int64         // with a fencing token, and not granted, or Shared: the largest that the node has seen
	Micros       int64         // Read, and with a fencing token: the node's clock, microseconds since 1970, 0 if it is near the token
	// NextWaiter is set on the answer to a release if another waiter was notified: its waiter
	// id. See also Others.
	NextWaiter string
	Err        error     // why it Failed
	At         time.Time // when it was known
	// AnsweredTime is how long the node had been answering by then, in all: see [Liveness].
	AnsweredTime time.Duration
}

// answer reads a reply.
func (r *Request) answer(reply any, err error) Answer {
	if err != nil {
		return Answer{Err: r.halfDone(redact(err))}
	}
	if !r.fenced() {
		return r.rejectLong(r.read(reply))
	}
	rest, fence, ok := r.unfence(reply)
	if !ok {
		return r.unexpected(reply)
	}
	a := r.read(rest)
	if a.Err == nil && (fence.Status != Failed || fence.Err != nil) {
		a = Answer{Status: fence.Status, Err: fence.Err, Last: a.Last, First: a.First, Index: a.Index}
	}
	a.LargestToken, a.Micros = fence.LargestToken, fence.Micros
	return r.rejectLong(a)
}

// rejectLong refuses an answer that says that the holder is longer than any value of a lock. An
// extension is denied all the same, and so is a swap.
func (r *Request) rejectLong(a Answer) Answer {
	if len(a.Holder) > longestValue && r.Verb != Extend && r.Verb != Swap {
		return Answer{Err: errData}
	}
	return a
}

func (r *Request) unexpected(reply any) Answer {
	return Answer{Err: fmt.Errorf("unexpected reply %T to %s: is this a Redis server?", reply, r.Verb)}
}

// read reads what a script replies without a fencing token.
func (r *Request) read(reply any) Answer {
	if r.Verb.Takes() {
		switch r.entry.Grant() {
		case Shared:
			return r.readShared(reply)
		case AnyKey:
			return r.readAny(reply)
		}
	}
	switch r.Verb {
	case Acquire, AcquireOrFlag:
		switch held := reply.(type) {
		case nil:
			return Answer{Status: Granted}
		case string: // to AcquireOrFlag, from a form that does not say for how long
			if held == r.entry.value {
				// An earlier send of this attempt took effect: its reply was lost, or it went
				// through another name of the same server. No other client knows the value.
				return Answer{Status: Granted, Found: true}
			}
			return Answer{Status: Taken, Holder: held}
		}
		if r.entry.Grant() == AllKeys {
			return r.readAcquireAll(reply)
		}
		list, ok := lua.AcquireOrFlag.Reply(reply)
		if !ok || r.Verb == Acquire {
			break
		}
		switch a := holderOf(list); {
		case a.Status != Taken:
		case a.Holder == r.entry.value:
			return Answer{Status: Granted, Found: true}
		default:
			return a
		}
	case AcquireInTurn:
		if last, granted := reply.(int64); granted {
			return Answer{Status: Granted, Last: last}
		}
		if r.entry.Grant() == AllKeys {
			return r.readAcquireAll(reply)
		}
		var a Answer
		if list, ok := lua.AcquireInTurn.Reply(reply); ok {
			a = queueOf(list)
		}
		if a.Status == Taken && a.Holder == r.entry.value { // as with AcquireOrFlag
			return Answer{Status: Granted, Found: true, Last: a.Last}
		}
		if a.Status != Failed {
			return a
		}
	case Extend:
		return r.readChange(reply, Extended)
	case Expire:
		return r.readChange(reply, Deleted)
	case Swap:
		return r.readChange(reply, Granted)
	case Release:
		switch n := reply.(type) {
		case string:
			return Answer{Status: Deleted, NextWaiter: n}
		case int64:
			if n == 1 {
				return Answer{Status: Deleted}
			}
			return Answer{Status: Absent}
		}
	case ping:
		return Answer{}
	case Read, Publish:
		return r.readPublished(reply)
	case Inspect:
		if list, ok := lua.Inspect.Reply(reply); ok {
			if a := inspected(list); a.Status != Failed {
				return a
			}
		}
	}
	return r.unexpected(reply)
}

// readChange reads the reply of what changes a key only if it holds the value: then it is done.
// With a script the reply is 1, 0 if there is no key, or else the value of another holder. With SET
// IFEQ GET it is null, or the value that the key held.
func (r *Request) readChange(reply any, done Status) Answer {
	switch held := reply.(type) {
	case int64:
		if held == 1 {
			return Answer{Status: done}
		}
		return Answer{Status: Absent}
	case nil:
		return Answer{Status: Absent}
	case string:
		switch {
		case held == r.entry.value, r.Verb == Swap && held == r.entry.rare.former: // Swap: our value is there from an earlier send
			return Answer{Status: done}
		case r.Verb == Expire:
			return Answer{Status: Absent}
		}
		return Answer{Status: Taken, Holder: held}
	}
	return r.unexpected(reply)
}

// longest is a century in milliseconds. A key that lives longer counts as living for ever: PTTL
// can say more than a time.Duration holds, and pauses are added to that.
const longest = 100 * 365 * 24 * int64(time.Hour/time.Millisecond)

// holderOf reads which value holds a key, and for how long.
func holderOf(reply lua.Reply) Answer {
	held, ok1 := reply.Get("holder").(string)
	ms, ok2 := reply.Get("left").(int64)
	switch {
	case !ok1 || !ok2:
		return Answer{}
	case ms == 0:
		ms = 1 // PTTL rounds down; 0 means unknown
	case ms < 0 || ms > longest:
		ms = -1
	}
	return Answer{Status: Taken, Holder: held, TTL: time.Duration(ms) * time.Millisecond}
}

// inspected reads the same, and how many callers wait.
func inspected(reply lua.Reply) Answer {
	a := holderOf(reply)
	waiting, ok := reply.Get("waiting").(int64)
	if reply.Get("left") == int64(lua.Free) {
		a = Answer{Status: Absent}
	}
	if !ok || a.Status == Failed {
		return Answer{}
	}
	a.Waiting = waiting
	return a
}

// queueOf reads why it is not the head of the queue.
func queueOf(reply lua.Reply) Answer {
	a := holderOf(reply)
	last, ok1 := reply.Get("last").(int64)
	first, ok2 := reply.Get("first").(int64)
	switch {
	case !ok1 || !ok2 || a.Status == Failed:
		return Answer{}
	case reply.Get("left") == int64(lua.Free):
		a = Answer{Status: Queued}
	}
	a.Last, a.First = last, first
	return a
}

// Answered reports whether the server itself replied, if only with a refusal. An error of a
// proxy is no answer of the server, which may be frozen behind it.
func (a Answer) Answered() bool {
	return a.Err == nil || refused(a.Err)
}
