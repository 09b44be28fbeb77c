package node

import (
	"errors"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
)

// What an error reply proves.
//
// Between us and the server there may be a proxy that gives up before the server does, and says
// so in an error reply of its own ("ERR Connection timed out", "upstream failure"). Then the
// command is on its way, or carried out. So an error proves that nothing was done only if it is
// known to come from the server, before the server does anything. Every other error is an
// unknown outcome, like a lost reply: it costs releases that are repeated for a while. The
// opposite mistake would leave a key that blocks every client for a TTL.
//
// A command with an unknown error is not sent again within its call, as after an ended
// connection: most such errors report a timeout, so time has passed already.

// refusedBefore are the codes that a server gives before it carries out a command, and a
// command in a script. A code is the first word, or the second after ERR.
var refusedBefore = map[string]bool{
	// The user may not send the command, or this server cannot carry it out now.
	"NOPERM": true, "NOAUTH": true, "WRONGPASS": true, "DENIED": true, "NOSCRIPT": true,
	"READONLY": true, "MASTERDOWN": true, "LOADING": true, "BUSY": true,
	"OOM": true, "MISCONF": true, "NOREPLICAS": true,
	// It is for another server. (A proxy that follows these itself passes on what came last.)
	"MOVED": true, "ASK": true, "TRYAGAIN": true, "CROSSSLOT": true, "CLUSTERDOWN": true,
	// SET GET and GET look at the key before anything is written.
	"WRONGTYPE": true,
	// Ours: see guard.lua and fence.lua.
	"GUARDMISMATCH": true, "GUARDQUARANTINE": true, "CLOCKBEHIND": true,
}

// refusedWords are the same for errors without a code, in small letters. The last ones are
// those of services and proxies that allow fewer commands, or other scripts.
var refusedWords = []string{
	"unknown command", "syntax error", "wrong number of arguments",
	"max number of clients", "invalid password",
	"find scripting engine", "compiling script", "command called from",
	"unsupported command", "command not allowed", "command is not available", "not support for your account", "not support lua",
	"undeclared key", "keys array", "non local key",
}

// inScript is in every error that a server finds while it runs a script. A script that takes
// the lock writes its key last, and an extension writes nothing else: a script that fails has
// not done what it is for. Releases are another matter, see NothingDone.
var inScript = []string{"user_script", "Error running script", "ACL failure in script", "user executing the script can't"}

// refused reports whether err is an error reply which proves that the server itself replied,
// and did not carry the command out.
func refused(err error) bool {
	var e pool.Error
	return errors.As(err, &e) && (refusedBeforeScript(string(e)) || containsAny(string(e), inScript))
}

func refusedBeforeScript(text string) bool {
	code, _, _ := strings.Cut(strings.TrimPrefix(text, "ERR "), " ")
	return refusedBefore[strings.TrimPrefix(code, "-")] || containsAny(strings.ToLower(text), refusedWords)
}

// NothingDone reports whether a call with the verb that failed with err certainly did nothing
// to the key: it was not sent, or the server refused it. (If it was sent before, the outcome of
// that send is another question: see Answer.SentBefore.)
//
// The release script deletes the key first, and may fail when it notifies the waiters. What sets
// several keys may fail between them.
func NothingDone(verb Verb, err error) bool {
	if errors.Is(err, ErrBusy) || errors.Is(err, pool.ErrNotSent) {
		return true
	}
	var e pool.Error
	if verb == Release && errors.As(err, &e) && containsAny(string(e), inScript) || errors.As(err, new(*halfDone)) {
		return false
	}
	return refused(err)
}

// A halfDone error is the error of a script that sets several keys, and may have set some.
type halfDone struct{ error }

func (e *halfDone) Unwrap() error { return e.error }

// HalfDone reports whether err is the error of a script that has ended, and may have set some of
// several keys.
func HalfDone(err error) bool { return errors.As(err, new(*halfDone)) }

// halfDone returns err as such an error, if it is one.
func (r *Request) halfDone(err error) error {
	var e pool.Error
	if r.Verb.Sets() && r.entry.Grant() != OneKey && errors.As(err, &e) && containsAny(string(e), inScript) {
		return &halfDone{err}
	}
	return err
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
