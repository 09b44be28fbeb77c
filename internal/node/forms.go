package node

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

// A form is a way to put a request to a server. Some servers, services and proxies refuse the
// best form. Then the next one is tried, within the same call, and the first that works is
// remembered.
type form uint8

const (
	native    form = iota // SET NX GET PX, GETRANGE, or PING
	evalsha               // the script, by its hash
	eval                  // the script, by its text, which also loads it
	evalOnly              // the same, after the hash was refused
	shortsha              // a shorter script, by its hash: see shortForm
	short                 // the same, by its text
	shortOnly             // the same, after the hash was refused
	setIfeq               // SET IFEQ GET PX: Redis 8.4, Valkey 8.1
	delex                 // DELEX IFEQ: Redis 8.4
	delifeq               // DELIFEQ: Valkey 9
)

// preferred is the form to try first on a server that has all scripts.
func (r *Request) preferred() form {
	switch {
	case r.Verb == Acquire && r.entry.scripts.guarded:
		return evalsha
	case r.readsVersion():
		return native
	}
	return preferred[r.Verb]
}

// preferred is the same by verb, for one key where restarts are not guarded.
var preferred = [...]form{Acquire: native, AcquireOrFlag: evalsha, AcquireInTurn: evalsha, Extend: evalsha, Release: evalsha, Inspect: evalsha, Expire: evalsha, Swap: evalsha, Read: evalsha, Publish: evalsha, ping: native}

// Known is what is known about a server, until it changes. All nodes of a process on the same
// client may share it: it is safe for concurrent use.
type Known struct {
	noNative atomic.Bool             // it refused SET with NX and GET
	longText atomic.Bool             // a key has a text that is no lock's: see longestValue
	noHash   atomic.Bool             // it refused EVALSHA, and not EVAL
	proven   [grants]atomic.Bool     // a release was seen to work, by the kind of grant; see probe
	loaded   [lua.Count]atomic.Bool  // the script was sent
	working  [ping + 1]atomic.Uint32 // the form that worked when a better one was refused, native for none
}

func (k *Known) forget() {
	for _, f := range []*atomic.Bool{&k.noNative, &k.longText, &k.noHash} {
		f.Store(false)
	}
	for i := range k.proven {
		k.proven[i].Store(false)
	}
	for i := range k.loaded {
		k.loaded[i].Store(false)
	}
	for i := range k.working {
		k.working[i].Store(uint32(native))
	}
}

// form chooses how to put a request.
func (n *Node) form(r *Request) form {
	if r.entry.Grant() != OneKey { // it has no other forms
		return n.run(r, evalsha, eval)
	}
	kept := form(n.working[r.Verb].Load())
	switch {
	case r.preferred() == native && (!r.Verb.Takes() || n.takesNative()):
		return native
	case kept == native:
		return n.run(r, evalsha, eval)
	case kept == short:
		return n.shortForm(r)
	}
	return kept
}

// takesNative reports whether to take a lock by a native command. A native command that finds a
// long text moves all of it, every time.
func (n *Node) takesNative() bool { return !n.noNative.Load() && !n.longText.Load() }

// run chooses between the hash of a script and its text. A script that this node has not been
// sent yet goes out as text, which loads it: to send the hash first would cost a round trip to
// learn that it is unknown.
func (n *Node) run(r *Request, hash, text form) form {
	if n.loaded[r.script(hash)].Load() && !n.noHash.Load() {
		return hash
	}
	return text
}

// shortForm is the form of a release that notifies no waiter, and of a waiter's attempt that
// leaves no flag: then waiters retry on their own. A waiter asks as TryLock does.
func (n *Node) shortForm(r *Request) form {
	if r.Verb == AcquireOrFlag && !r.entry.scripts.guarded && !r.fenced() && n.takesNative() {
		return native
	}
	return n.run(r, shortsha, short)
}

// learn notes what a reply says about the server, and chooses the form to try next if the form
// was refused. That ends: what comes next is later in the order above. The only exception is a
// script that the server lost, and after that no script is asked for by its hash.
func (n *Node) learn(r *Request, f form, err error) (next form, again bool) {
	switch {
	case err == nil:
		n.noteWorked(r, f)
	case f == native && r.Verb.Takes() && refusesNative(err):
		n.noNative.Store(true)
		if r.Verb == AcquireOrFlag {
			return n.shortForm(r), true
		}
		return n.form(r), true
	case f == native && r.Verb == Acquire && wrongType(err): // readers may hold the lock: the script says
		return n.run(r, evalsha, eval), true
	case (f == evalsha || f == shortsha) && notLoaded(err):
		// The server is not the one that the script was loaded into: it restarted, failed over,
		// was upgraded or flushed. What else was learned about it is forgotten with the script,
		// and what it refused is tried again.
		if n.forget(); f == shortsha {
			return n.form(r), true
		}
		return eval, true
	case refusesForm(r, err):
		return n.formAfter(r, f)
	}
	return f, false
}

// noteWorked notes that a form worked.
func (n *Node) noteWorked(r *Request, f form) {
	switch f {
	case evalOnly, shortOnly:
		n.noHash.Store(true)
		fallthrough
	case eval, short:
		n.loaded[r.script(f)].Store(true)
	}
	switch {
	case f == shortsha || f == shortOnly || f == native && r.Verb == AcquireOrFlag:
		f = short
		fallthrough
	case f == short, f == setIfeq, f == delex, f == delifeq:
		n.working[r.Verb].Store(uint32(f))
	}
	if proven := &n.proven[r.entry.Grant()]; r.Verb == Release && !proven.Load() {
		proven.Store(true)
	}
}

// formAfter is the form that comes after one that was refused.
func (n *Node) formAfter(r *Request, f form) (next form, again bool) {
	switch {
	case f == evalsha:
		return evalOnly, true
	case f == shortsha:
		return shortOnly, true
	case r.entry.Grant() != OneKey:
		return f, false
	case f == eval || f == evalOnly:
		switch {
		case r.Verb == Extend, r.Verb == Expire, r.Verb == Swap:
			return setIfeq, true
		case r.Verb == Release, r.Verb == AcquireOrFlag && r.flag.TTL > 0:
			return n.shortForm(r), true
		}
	case r.Verb == Release && f != delifeq:
		return max(f+1, delex), true
	}
	return f, false
}

// States of a server in which it refuses what it takes at other times. They are looked for
// first, since their texts, too, say "not allowed" or "disabled".
var passing = []string{"LOADING", "BUSY", "OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "MOVED", "TRYAGAIN",
	"NOAUTH", "WRONGPASS", "DENIED", "EXECABORT", "WRONGTYPE", "NOSCRIPT", "GUARD"}

// Words of a server, a service or a proxy for a command that it does not know or does not let
// through, or for a script that it does not accept, before it carries anything out. A missing
// word here costs a lock, and never its safety: nothing is locked where no release works.
var formWords = []string{"unknown command", "invalid command", "unrecognized command", "unsupported", "not support", "not available",
	"not allowed", "not permitted", "not implemented", "disabled", "forbidden", "prohibited", "noperm", "undeclared", "non local key",
	"keys array", "compiling script", "scripting engine", "called from script", "called from lua script"}

// Words for rights that a script lacks halfway. What it did by then it cannot revert. Only a wait
// has done nothing that counts (acquire_or_flag.lua writes last).
var halfway = []string{"executing the script can't", "acl failure in script"}

// refusesForm reports whether an error reply is about how a command was sent, and not about
// what it asks for. Then another form may be tried.
func refusesForm(r *Request, err error) bool {
	text := errorReply(err)
	if text == "" || errors.Is(err, pool.ErrNotSent) { // a refusal of the handshake
		return false
	}
	text, _, _ = strings.Cut(text, "with args beginning with") // what follows are our arguments
	has := func(text string, words []string) bool {
		for _, word := range words {
			if strings.Contains(text, word) {
				return true
			}
		}
		return false
	}
	if has(text, passing) {
		return false
	}
	text = strings.ToLower(text)
	return has(text, formWords) || r.Verb == AcquireOrFlag && r.entry.Grant() == OneKey && has(text, halfway)
}

// errData is the answer about a key that holds more than a lock's value.
const errData = pool.Error("WRONGTYPE a text under the lock's name is longer than the value of any lock")

// longestValue is longer than the value of any lock, of ours and of other libraries: see
// held.lua.
const longestValue = 512
