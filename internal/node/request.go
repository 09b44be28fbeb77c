package node

import (
	"fmt"
	"time"
)

// Verb is what a request asks of a node.
type Verb uint8

const (
	Acquire Verb = iota // set the key to the value if it is free
	Wait                // the same, and if it is not free say for how long, and that we wait
	Turn                // the same as Wait, but others who stand in line come first
	Extend              // prolong the key if it holds the value
	Release             // delete the key if it holds the value
	Inspect             // look at the key
	ping                // anything at all
)

func (v Verb) String() string {
	return [...]string{"lock", "lock", "lock", "extend", "unlock", "inspect", "ping"}[v]
}

// Sets reports whether the verb may set the key.
func (v Verb) Sets() bool { return v == Acquire || v == Wait || v == Turn }

// A Lease is what one attempt to take a lock writes on the nodes. The value is
// unique to the attempt.
type Lease struct {
	key, value any // boxed once: every request carries them
}

// NewLease returns the lease that stores value under key.
func NewLease(key, value string) Lease { return Lease{key, value} }

// Key returns the key on the nodes.
func (l Lease) Key() string { return l.key.(string) }

// Value returns what the key holds.
func (l Lease) Value() string { return l.value.(string) }

// A Request is one question, the same for every node. Its arguments are built
// once and shared by all of them.
type Request struct {
	Verb  Verb
	TTL   time.Duration // rounded up to whole milliseconds on the wire
	ttl   any           // TTL as it goes out, boxed, or that of a request before this one
	lease Lease
	mark  Mark
	first []any  // in the form that nearly every server takes
	room  [7]any // for first, if it is as short as those of a lock that nobody else wants
}

// A Mark is what those who wait for a lock leave on the nodes, so that its
// release is published. The zero Mark leaves nothing, and tells nobody.
type Mark struct {
	Self any           // a string: who waits, or who releases; see release.lua
	TTL  time.Duration // of the mark
	Line Line          // Turn, and the release of what it took
}

// A Line is what a Locker tells the nodes about its callers who stand in line for
// a lock. They have tickets, in ascending order; only the first of them asks, and
// the nodes keep one place for all of them. See turn.lua.
type Line struct {
	Ticket int64         // of the first, 0 if it has none yet
	Next   int64         // of the second, 0 if there is none, or none yet
	Last   int64         // the largest
	Count  int64         // of callers
	Lease  time.Duration // how long the place is kept without being asked for
	Back   bool          // Release: it goes back to its place
}

// NewRequest builds the question verb about lease. Release and Inspect ignore
// the ttl. Only Wait, Turn and Release need a mark; Inspect leaves one if it has a TTL.
func NewRequest(verb Verb, lease Lease, ttl time.Duration, mark Mark) *Request {
	r := new(Request)
	r.Set(verb, lease, ttl, mark)
	return r
}

// Set does what NewRequest does, in memory of the caller. A Request that was set must
// not be copied. It may be set anew when nobody has it any more: most have the same TTL
// as the one before, and then it is not boxed again.
func (r *Request) Set(verb Verb, lease Lease, ttl time.Duration, mark Mark) {
	r.Verb, r.TTL, r.lease, r.mark = verb, ttl, lease, mark
	if ms := millis(ttl); verb != Release && r.ttl != ms {
		r.ttl = ms
	}
	r.first = r.args(r.room[:0], preferred[verb])
}

// Clear lets go of all that the request was about.
func (r *Request) Clear() { *r = Request{ttl: r.ttl} }

// form is a way to put a request to a server.
type form uint8

const (
	native  form = iota // a plain command
	evalsha             // the script, by its hash
	eval                // the script, by its text, which also loads it
)

// preferred is the form to try first on a server about which nothing is known.
var preferred = [...]form{Acquire: native, Wait: evalsha, Turn: evalsha, Extend: evalsha, Release: evalsha, Inspect: evalsha, ping: native}

// command is the request in one form, to be read only.
func (r *Request) command(f form) []any {
	if f == preferred[r.Verb] {
		return r.first
	}
	return r.args(nil, f)
}

// args appends the command for one form.
func (r *Request) args(to []any, f form) []any {
	if r.Verb == ping {
		return append(to, "PING")
	}
	if f == native {
		return append(to, "SET", r.lease.key, r.lease.value, "NX", "GET", "PX", r.ttl)
	}
	s := &scripts[r.Verb]
	if f == eval {
		to = append(to, "EVAL", s.text)
	} else {
		to = append(to, "EVALSHA", s.sha)
	}
	to = append(to, int64(1), r.lease.key)
	wait := func() any { return SideKey(r.lease.Key(), "wait") }
	switch line := &r.mark.Line; r.Verb {
	case Wait:
		return append(to, r.lease.value, r.ttl, wait(), r.mark.Self, millis(r.mark.TTL))
	case Turn:
		return append(to, r.lease.value, r.ttl, wait(), r.mark.Self, millis(r.mark.TTL),
			line.Ticket, line.Next, line.Last, millis(line.Lease), line.Count)
	case Release:
		to = append(to, r.lease.value)
		if r.mark.Self == nil {
			return to
		}
		to = append(to, wait(), r.mark.Self)
		switch {
		case line.Back:
			return append(to, line.Ticket, "back")
		case line.Ticket > 0:
			return append(to, line.Ticket)
		}
		return to
	case Inspect:
		return append(to, wait(), millis(r.mark.TTL))
	}
	return append(to, r.lease.value, r.ttl)
}

// millis rounds up: 0 would mean "delete now" to PEXPIRE and an error to SET,
// and a key that lives a fraction of a millisecond longer is safe. Nothing is added
// to d, which may be the longest that there is.
func millis(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// Status is what a node said.
type Status uint8

const (
	Failed   Status = iota // nothing usable: see Answer.Err
	Granted                // Acquire, Wait, Turn: the key holds the value
	Taken                  // Acquire, Wait, Turn, Extend, Inspect: another value holds the key
	Queued                 // Turn: the key is free, and others come first
	Extended               // Extend: the key held the value and was prolonged
	Deleted                // Release: the key held the value and is gone
	Absent                 // Extend, Inspect: there is no key; Release: it does not hold the value
)

// An Answer is what became of a request on one node.
type Answer struct {
	Status  Status
	Holder  string        // the value found, if Taken
	TTL     time.Duration // Wait, Turn, Inspect: how long the key still lives, negative if for ever
	Last    int64         // Turn: the largest ticket that the node has seen
	First   int64         // Turn, if Taken or Queued: the ticket of the first in line, 0 if there is none
	Waiting int64         // Inspect: how many stand in line
	// Awaited is set on the answer to a release if somebody else waits: who.
	Awaited string
	Err     error     // why it Failed
	At      time.Time // when it was known
	// InClient is set on the answer to a call that was given up while it was
	// with the client: Receiver.Late follows.
	InClient bool
}

// answer reads a reply.
func (r *Request) answer(reply any, err error) Answer {
	if err != nil {
		return Answer{Err: err}
	}
	switch r.Verb {
	case Acquire:
		switch held := reply.(type) {
		case nil:
			return Answer{Status: Granted}
		case string:
			if held == r.lease.value {
				// An earlier send of this very attempt took effect and its
				// reply was lost. Nobody else knows the value.
				return Answer{Status: Granted}
			}
			return Answer{Status: Taken, Holder: held}
		}
	case Wait:
		switch a := lookedAt(reply); {
		case reply == nil, a.Holder == r.lease.value && a.Status == Taken:
			return Answer{Status: Granted}
		case a.Status == Taken:
			return a
		}
	case Turn:
		if last, granted := reply.(int64); granted {
			return Answer{Status: Granted, Last: last}
		}
		if a := queuedBehind(reply); a.Status != Failed {
			return a
		}
	case Extend:
		switch held := reply.(type) {
		case int64:
			if held == 1 {
				return Answer{Status: Extended}
			}
			return Answer{Status: Absent}
		case string:
			return Answer{Status: Taken, Holder: held}
		}
	case Release:
		switch n := reply.(type) {
		case string:
			return Answer{Status: Deleted, Awaited: n}
		case int64:
			if n == 1 {
				return Answer{Status: Deleted}
			}
			return Answer{Status: Absent}
		}
	case ping:
		return Answer{}
	case Inspect:
		if three, ok := reply.([]any); ok && len(three) == 3 {
			a := lookedAt(three[:2])
			waiting, ok := three[2].(int64)
			if three[1] == int64(free) {
				a = Answer{Status: Absent}
			}
			if a.Waiting = waiting; ok && a.Status != Failed {
				return a
			}
		}
	}
	return Answer{Err: fmt.Errorf("unexpected reply %T to %s: is this a Redis server?", reply, r.Verb)}
}

// longest is a century in milliseconds. A key that lives longer lives for ever: PTTL
// can say more than a time.Duration holds, and pauses are added to what it holds.
const longest = 100 * 365 * 24 * int64(time.Hour/time.Millisecond)

// lookedAt reads who holds a key and for how long.
func lookedAt(reply any) Answer {
	if pair, ok := reply.([]any); ok && len(pair) == 2 {
		held, ok1 := pair[0].(string)
		ms, ok2 := pair[1].(int64)
		switch {
		case ms == 0:
			ms = 1 // PTTL rounds down; 0 is for answers that do not tell
		case ms < 0 || ms > longest:
			ms = -1
		}
		if ok1 && ok2 {
			return Answer{Status: Taken, Holder: held, TTL: time.Duration(ms) * time.Millisecond}
		}
	}
	return Answer{}
}

// free is the remaining time to live of a key that does not exist.
const free = -2

// queuedBehind reads why it is not our turn.
func queuedBehind(reply any) Answer {
	four, ok := reply.([]any)
	if !ok || len(four) != 4 {
		return Answer{}
	}
	last, ok1 := four[2].(int64)
	first, ok2 := four[3].(int64)
	a := lookedAt(four[:2])
	if !ok1 || !ok2 || a.Status != Taken {
		return Answer{}
	}
	if four[1] == int64(free) {
		a = Answer{Status: Queued}
	}
	a.Last, a.First = last, first
	return a
}

// Answered reports whether the server itself spoke: a reply, or a refusal.
func (a Answer) Answered() bool {
	return a.Err == nil || isRefusal(a.Err)
}
