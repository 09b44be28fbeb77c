package main

import "fmt"

// Exit codes of redlock itself. They are a contract.
//
// "redlock run" passes the command's own code on, so its own codes should be
// ones that commands do not use: those of sysexits.h where one fits, which are
// rare and mean the same wherever they occur, and for a lost lock the first
// number above them, for warnings the next. 126, 127 and 128+n are what every shell, env(1) and
// timeout(1) use.
const (
	exitTwoHolders  = 1   // demo: the referee saw two holders at once
	exitNotHeld     = 3   // status --quiet, release: nobody holds the lock, as systemctl says of what does not run
	exitUsage       = 64  // EX_USAGE: wrong flags, options or node URLs
	exitNoQuorum    = 69  // EX_UNAVAILABLE: too few nodes answered
	exitSystem      = 71  // EX_OSERR: the command could not be started, or the masters in memory
	exitNotAcquired = 75  // EX_TEMPFAIL: somebody else has the lock
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
	err  error // what to say on stderr; nil if it was said, or is not ours to say
}

func (e *ending) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *ending) Unwrap() error { return e.err }

func endWith(code int, err error) error { return &ending{code: code, err: err} }
