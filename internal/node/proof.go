package node

import (
	"errors"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
)

// What an error reply proves.
//
// Between us and the server there may be a proxy that gives up before the server does,
// and says so in an error reply of its own ("ERR Connection timed out", "upstream
// failure"): then the command is on its way, or carried out. So only an error that is
// known to come from the server, and before it does anything, is an answer which proves
// that nothing was done. Every other one is an unknown outcome, like a reply that was
// lost: it costs releases that are repeated for a while, where to be wrong the other way
// leaves a key in everybody's way for a TTL.
//
// An unknown error is not asked again within its call, as an ended connection is: what
// it tells of is mostly a timeout, so time has passed already.

// refusedBefore are the codes that a server gives before it carries out a command, and a
// command in a script. A code is the first word, or the second after ERR.
var refusedBefore = map[string]bool{
	// The command may not be, or cannot be carried out for this client, by this server.
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

// refusedWords are the same for errors without a code, in small letters. The last are what
// services and proxies say that allow fewer commands, or other scripts.
var refusedWords = []string{
	"unknown command", "syntax error", "wrong number of arguments",
	"max number of clients", "invalid password",
	"find scripting engine", "compiling script", "command called from",
	"unsupported command", "command not allowed", "command is not available", "not support for your account", "not support lua",
	"undeclared key", "keys array", "non local key",
}

// inScript is in every error that a server finds while it runs a script. What takes the
// lock writes its key last, and an extension writes nothing else: a script that fails
// has not done what it was for. Releases are another matter, see NothingDone.
var inScript = []string{"user_script", "Error running script", "ACL failure in script", "user executing the script can't"}

// refused reports whether err is an error reply which proves that the server itself
// spoke, and did not do what it was asked.
func refused(err error) bool {
	var e pool.Error
	return errors.As(err, &e) && (refusedBeforeScript(string(e)) || containsAny(string(e), inScript))
}

func refusedBeforeScript(text string) bool {
	code, _, _ := strings.Cut(strings.TrimPrefix(text, "ERR "), " ")
	return refusedBefore[strings.TrimPrefix(code, "-")] || containsAny(strings.ToLower(text), refusedWords)
}

// NothingDone reports whether a call with the verb that failed with err certainly did
// nothing to the key: it was not sent, or the server refused it. (What was sent before
// it, if it was sent again, is another question: see Answer.Lost.)
//
// The release script deletes the key first, and may fail at what it does for those who
// wait.
func NothingDone(verb Verb, err error) bool {
	if errors.Is(err, ErrBusy) || errors.Is(err, pool.ErrNotSent) {
		return true
	}
	var e pool.Error
	if verb == Release && errors.As(err, &e) && containsAny(string(e), inScript) {
		return false
	}
	return refused(err)
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
