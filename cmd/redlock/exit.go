package main

import (
	"errors"
	"fmt"
	"log"
)

// Exit codes of redlock itself. They are a contract.
//
// "redlock run" passes on the exit code of its command, so its own codes should be rare ones.
// They are those of sysexits.h where one fits: these are rare, and mean the same everywhere. A
// lost lock has the first number above them, warnings the next. 126, 127 and 128+n are those of
// shells, env(1) and timeout(1).
const (
	exitTwoHolders  = 1   // demo: the referee saw two holders at once
	exitNotHeld     = 3   // status --quiet, release: no holder; leader, latest: nobody, nothing; systemctl uses it for a unit that does not run
	exitExpired     = 4   // latest: the last value has expired
	exitUsage       = 64  // EX_USAGE: wrong flags, options or node URLs
	exitNoQuorum    = 69  // EX_UNAVAILABLE: too few nodes answered
	exitSystem      = 71  // EX_OSERR: the command could not be started, or the masters in memory
	exitNotAcquired = 75  // EX_TEMPFAIL: another holder has the lock
	exitUnsafe      = 78  // EX_CONFIG: doctor: exclusion is in danger, or a node grants no locks
	exitLost        = 79  // the lock was lost while the command ran
	exitDoubtful    = 80  // doctor: warnings, and nothing worse
	exitNotExec     = 126 // the command is not executable
	exitNotFound    = 127 // the command was not found
	exitSignal      = 128 // plus the number of the signal that ended it
)

// ending is how a command of redlock ends, other than by 0. It is an error so
// that it can be returned from anywhere.
type ending struct {
	code int
	word string // for --status-fd
	err  error  // the message on stderr; nil if it was printed, or the command prints its own
}

func (e *ending) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *ending) Unwrap() error { return e.err }

// endWith ends with a code of redlock's own.
func endWith(code int, err error) error {
	word := words[code]
	if code > exitSignal {
		word = "signal"
	}
	return &ending{code: code, word: word, err: err}
}

// The words of --status-fd. They are a contract.
const (
	wordCommand  = "command"
	wordTaken    = "taken"
	wordReleased = "released"
)

// words are those of the codes that are redlock's own.
var words = map[int]string{
	exitUsage: "usage", exitNoQuorum: "no-quorum", exitSystem: "not-started", exitNotAcquired: wordTaken,
	exitLost: "lost", exitNotExec: "not-started", exitNotFound: "not-started",
}

// commandEnded ends with the code of the command.
func commandEnded(code int) error {
	if code == 0 {
		return nil
	}
	return &ending{code: code, word: wordCommand}
}

// wordOf is how a run ended, in one word.
func wordOf(err error) string {
	if end := (*ending)(nil); errors.As(err, &end) {
		return end.word
	}
	if err != nil {
		return words[exitSystem]
	}
	return wordCommand
}

// codeOf is the exit code for err.
func codeOf(err error) int {
	if end := (*ending)(nil); errors.As(err, &end) {
		return end.code
	}
	if err != nil {
		return exitSystem
	}
	return 0
}

// said says what went wrong, if there is something to say, and returns how to end.
func said(err error, say *log.Logger) error {
	if err == nil {
		return nil
	}
	end := (*ending)(nil)
	if !errors.As(err, &end) || end.err != nil {
		say.Print(trimmed(err))
	}
	return &ending{code: codeOf(err), word: wordOf(err)}
}
