//go:build unix

package child

import (
	"errors"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// forwarded are the signals that are passed on, and whether to the whole process
// group of the command.
//
// Those that mean "end", "stop" or "the window changed" go to the group, as a
// terminal sends them: a shell acts on SIGTERM only when the program it waits
// for has ended. The others are for the command alone ("reopen your log"), and would kill a child
// that does not handle them.
var forwarded = map[os.Signal]bool{
	unix.SIGINT:   true,
	unix.SIGTERM:  true,
	unix.SIGHUP:   true,
	unix.SIGQUIT:  true,
	unix.SIGTSTP:  true,
	unix.SIGWINCH: true,
	unix.SIGUSR1:  false,
	unix.SIGUSR2:  false,
	unix.SIGALRM:  false,
	unix.SIGCONT:  true,
}

// Notify makes the signals that can be passed on go to ch. Call it before the request for the lock,
// so that none is missed. [Ends] reports which of them end the wait for the lock.
//
// A signal that was ignored when this process started (nohup, a script's
// background job) stays ignored, for the command as well: a signal that is
// caught is reset to its default in a new process, an ignored one is inherited.
func Notify(ch chan<- os.Signal) {
	for sig := range forwarded {
		if !signal.Ignored(sig) {
			signal.Notify(ch, sig)
		}
	}
}

// Ends reports whether a signal asks to end.
func Ends(sig os.Signal) bool {
	switch sig {
	case unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT:
		return true
	}
	return false
}

// Suspends reports whether a signal asks to stop, as Ctrl-Z does.
func Suspends(sig os.Signal) bool { return sig == unix.SIGTSTP }

// Number returns the number of a signal.
func Number(sig os.Signal) int { return int(sig.(unix.Signal)) }

// Forward passes a signal on.
func (c *Child) Forward(sig os.Signal) {
	switch group, known := forwarded[sig]; {
	case !known:
	case sig == unix.SIGCONT:
		c.resume()
	case group:
		c.signalGroup(sig.(unix.Signal))
	default:
		c.signalLeader(sig.(unix.Signal))
	}
}

// Terminate asks the command and its children to end. It continues stopped processes, so that they
// can handle the signal.
func (c *Child) Terminate() {
	c.signalGroup(unix.SIGTERM)
	c.signalGroup(unix.SIGCONT)
}

// Kill ends the command and its children, except those that went into a process
// group of their own.
func (c *Child) Kill() { c.signalGroup(unix.SIGKILL) }

// signalLeader signals the command itself, unless it was waited for: then another process may have
// its number. (That is also possible between the wait and the store of reaped, if the system uses up
// all its numbers in that instant.)
func (c *Child) signalLeader(sig unix.Signal) {
	if !c.reaped.Load() {
		_ = unix.Kill(c.pid, sig)
	}
}

// signalGroup signals the command's group, which may outlive the command. As
// long as one process is in it, no other group has its number.
func (c *Child) signalGroup(sig unix.Signal) { _ = unix.Kill(-c.pid, sig) }

// Gone returns true when no process is left in the command's group, and false when giveUp comes
// before. It polls, since there is no notification of the end of a process that is not a child.
func (c *Child) Gone(giveUp <-chan time.Time) bool {
	const interval = 10 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		for { // orphans, if this is the first process of a container
			if pid, err := unix.Wait4(-c.pid, nil, unix.WNOHANG, nil); err != nil || pid <= 0 {
				break
			}
		}
		if errors.Is(unix.Kill(-c.pid, 0), unix.ESRCH) {
			return true
		}
		select {
		case <-ticker.C:
		case <-giveUp:
			return false
		}
	}
}
