package node

import (
	"errors"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
)

// A refusal is an error reply that a user can do something about.
type refusal struct {
	text      string // as found in the server's error
	permanent bool   // asking again cannot help until somebody mends it
	remedy    string
}

// scriptRights is for servers that let a user run a script, and not what is in it.
const scriptRights = "allow its ACL user the commands and keys of the scripts: SECURITY.md lists them, those of WithFair too"

var refusals = []refusal{
	{"user executing the script can't", true, scriptRights},
	{"ACL failure in script", true, scriptRights},
	{"NOPERM", true, "allow its ACL user SET, GET, DEL, PEXPIRE, PTTL, EVAL and EVALSHA on the lock's keys"},
	{"WRONGPASS", true, "check the user name and password of this node's client"},
	{"NOAUTH", true, "give this node's client a password"},
	{"invalid password", true, "check the password of this node's client"},
	{"WRONGTYPE", true, "a data key has the lock's name: choose another name or a prefix"},
	{"unknown command", true, "this server lacks a command the lock needs, or renamed it"},
	{"GUARDQUARANTINE", false, "it votes again by itself"},
	{"GUARDMISMATCH", true, "all clients of a node must use the same number of nodes and the same WithRestartGuard; to change that, stop them, DEL redlock:node on every node, and start"},
	{"CLOCKBEHIND", false, "set the clock of this node: it takes no fencing tokens until then"},
	{"READONLY", false, "this is a replica: a lock needs masters"},
	{"OOM", false, "raise maxmemory or free memory on this node"},
	{"MISCONF", false, "this node cannot save its data: see its log"},
	{"LOADING", false, "this node is still loading its data"},
	{"MASTERDOWN", false, "this is a replica without its master: a lock needs masters"},
	{"max number of clients", false, "raise maxclients on this node, or use smaller client pools"},
}

// findRefusal looks anywhere in the text: proxies put words of their own first.
func findRefusal(err error) (refusal, bool) {
	var e pool.Error
	if !errors.As(err, &e) {
		return refusal{}, false
	}
	for _, r := range refusals {
		if strings.Contains(string(e), r.text) {
			return r, true
		}
	}
	return refusal{}, false
}

// Remedy says what to do about an error reply of a server, or "".
func Remedy(err error) string {
	if errors.Is(err, pool.ErrClosed) {
		return "the client of this node was closed: close the Locker first"
	}
	r, _ := findRefusal(err)
	return r.remedy
}

// Permanent reports whether err is an error reply that stays the same until
// somebody mends the server or the client's configuration, or says that the client was
// closed for good.
func Permanent(err error) bool {
	if errors.Is(err, pool.ErrClosed) {
		return true
	}
	r, _ := findRefusal(err)
	return r.permanent
}

// isRefusal reports whether err is an error reply: the server read the command
// and did not carry it out. (Our scripts write last, so a script that fails has
// written nothing either.)
func isRefusal(err error) bool {
	var e pool.Error
	return errors.As(err, &e)
}

// notLoaded reports whether a server does not know a script by its hash.
func notLoaded(err error) bool { return refusalHas(err, "NOSCRIPT") }

// refusesNative reports whether a server does not take SET with both NX and GET.
func refusesNative(err error) bool { return refusalHas(err, "syntax error") }

// Quarantined reports whether a server grants no locks since it may have forgotten some.
func Quarantined(err error) bool { return refusalHas(err, "GUARDQUARANTINE") }

// wrongType reports whether a key holds something that is no lock.
func wrongType(err error) bool { return refusalHas(err, "WRONGTYPE") }

func refusalHas(err error, text string) bool {
	var e pool.Error
	return errors.As(err, &e) && strings.Contains(string(e), text)
}
