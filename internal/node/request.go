package node

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// Verb is what a request asks of a node.
type Verb uint8

const (
	Acquire       Verb = iota // set the key to the value if it is free
	AcquireOrFlag             // the same; if it is not free the node says for how long, and a waiter flag is left
	AcquireInTurn             // the same as AcquireOrFlag, but waiters before us in the queue come first
	Extend                    // prolong the key if it holds the value
	Release                   // delete the key if it holds the value
	Inspect                   // look at the key
	Swap                      // replace the former value, if the key holds it, and prolong the key
	Expire                    // let the key expire after the TTL if it holds the value: a release that leaves it for so long
	Read                      // look at a published value, and maybe at the key
	Publish                   // store a published value, maybe only if the key holds the value
	ping                      // anything at all
)

func (v Verb) String() string {
	return [...]string{"lock", "lock", "lock", "extend", "unlock", "inspect", "attach", "unlock", "read", "publish", "ping"}[v]
}

// Takes reports whether the verb sets the key if it is free.
func (v Verb) Takes() bool { return v == Acquire || v == AcquireOrFlag || v == AcquireInTurn }

// Sets reports whether the key may hold the value after the verb, and not before.
func (v Verb) Sets() bool { return v.Takes() || v == Swap }

// Releases reports whether the verb gives the lock up.
func (v Verb) Releases() bool { return v == Release || v == Expire }

// A Request is one question, the same for every node. Its arguments are built once and shared
// by all of them.
type Request struct {
	Verb          Verb
	TTL           time.Duration // rounded up to whole milliseconds on the wire
	ttl           any           // TTL on the wire, boxed; maybe still that of the request before
	tokenTTL      any           // the same for a fencing token
	entry         Entry
	flag          WaiterFlag
	preferredArgs []any  // those of the preferred form
	buf           [9]any // for preferredArgs if they fit, as those of an uncontended lock do, with a token or without
}

// A WaiterFlag is what a waiter leaves on the nodes, so that the release of the lock is
// published. A release has one, too, to notify the waiters. The zero WaiterFlag leaves nothing,
// and notifies no waiter.
type WaiterFlag struct {
	ID       any           // a string: the waiter id, or ARGV.releaser of release.lua
	TTL      time.Duration // of the flag
	Position QueuePosition // for AcquireInTurn, and the release of what it took
}

// A QueuePosition is what a Locker tells the nodes about its callers in the wait queue of a
// lock. The callers have tickets, in ascending order. Only the first of them asks, and the
// nodes keep one position for all of them. See queue.lua.
type QueuePosition struct {
	Ticket  int64         // of the first, 0 if it has none yet
	Next    int64         // of the second, 0 if there is none, or none yet
	Last    int64         // the largest
	Count   int64         // of callers
	TTL     time.Duration // how long the position is kept without being asked for; Release: not 0 if there may be a queue
	Requeue bool          // Release: back to the position
	Intent  bool          // AcquireOrFlag: readers were found, and no new ones are to be let in while the flag lives; Release: that ends
}

// NewRequest builds the question verb about an entry. Release and Inspect ignore the ttl. Only
// AcquireOrFlag, AcquireInTurn and Release need a flag; Inspect leaves one if it has a TTL.
func NewRequest(verb Verb, entry Entry, ttl time.Duration, flag WaiterFlag) *Request {
	r := new(Request)
	r.Set(verb, entry, ttl, flag)
	return r
}

// Set does what NewRequest does, in memory of the caller. A Request that was set must not be
// copied. It may be set anew when nothing uses it any more. Most requests have the same TTL as
// the one before; then it is not boxed again.
func (r *Request) Set(verb Verb, entry Entry, ttl time.Duration, flag WaiterFlag) {
	if verb == Acquire && (entry.fence != nil || entry.Grant() != OneKey) {
		verb, flag = AcquireOrFlag, WaiterFlag{} // no native command takes a token, or several keys, or joins readers
	}
	if entry.Grant() == AllKeys && verb == Inspect {
		panic("node: " + verb.String() + ": such a request is about one key") // no caller of ours does that
	}
	r.Verb, r.TTL, r.entry, r.flag = verb, ttl, entry, flag
	if ms := millis(ttl); verb != Release && r.ttl != ms {
		r.ttl = ms
	}
	if r.fenced() {
		if ms := millis(entry.fence.ttl); r.tokenTTL != ms {
			r.tokenTTL = ms
		}
	}
	r.preferredArgs = r.args(r.buf[:0], r.preferred())
}

// Grant is what the request is about.
func (r *Request) Grant() Grant { return r.entry.Grant() }

// Clear drops the references to all that the request was about.
func (r *Request) Clear() { *r = Request{ttl: r.ttl, tokenTTL: r.tokenTTL} }

// command is the request in one form, to be read only.
func (r *Request) command(f form) []any {
	if f == r.preferred() {
		return r.preferredArgs
	}
	return r.args(nil, f)
}

// args appends the command for one form.
func (r *Request) args(to []any, f form) []any {
	switch {
	case r.Verb == ping:
		return append(to, "PING")
	case f == native && r.Verb == Read:
		return append(to, "GETRANGE", r.entry.rare.published.key, int64(0), int64(lua.HeaderLength-1))
	case f == native:
		return append(to, "SET", r.entry.key, r.entry.value, "NX", "GET", "PX", r.ttl)
	case f == setIfeq && r.Verb == Swap:
		return append(to, "SET", r.entry.key, r.entry.value, "IFEQ", r.entry.rare.former, "GET", "PX", r.ttl)
	case f == setIfeq: // it never sets a key that is gone, either
		return append(to, "SET", r.entry.key, r.entry.value, "IFEQ", r.entry.value, "GET", "PX", r.ttl)
	case f == delex:
		return append(to, "DELEX", r.entry.key, "IFEQ", r.entry.value)
	case f == delifeq:
		return append(to, "DELIFEQ", r.entry.key, r.entry.value)
	}
	flag := &r.flag
	if f >= shortsha {
		flag = new(WaiterFlag)
	}
	script := r.script(f)
	text := &r.entry.scripts.all[script]
	if f == evalsha || f == shortsha {
		to = append(to, "EVALSHA", text.SHA)
	} else {
		to = append(to, "EVAL", text.Text)
	}
	return r.scriptArgs(to, script, flag)
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
