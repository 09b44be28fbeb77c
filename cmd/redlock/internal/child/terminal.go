//go:build unix

package child

import (
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is the controlling terminal. A nil one is none.
type terminal struct {
	file *os.File
	lent atomic.Bool // to the command's process group; never taken back before its end
}

func openTerminal() *terminal {
	file, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	return &terminal{file: file}
}

func (t *terminal) close() {
	if t != nil {
		_ = t.file.Close()
	}
}

func (t *terminal) foreground() int {
	group, err := unix.IoctlGetInt(int(t.file.Fd()), unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return group
}

func (t *terminal) setForeground(group int) bool {
	// The kernel stops a process in the background that does this, unless it ignores
	// the signal. It is ignored from here on only, after the command was
	// started, which would inherit that.
	signal.Ignore(unix.SIGTTOU)
	return unix.IoctlSetPointerInt(int(t.file.Fd()), unix.TIOCSPGRP, group) == nil
}

// handTo makes group the foreground one if ours is.
func (t *terminal) handTo(group int) bool {
	if t.foreground() != unix.Getpgrp() || !t.setForeground(group) {
		return false
	}
	t.lent.Store(true)
	return true
}

// restore hands the terminal to group again if it had it before both were
// stopped, and the shell gave it back to us (fg, not bg).
func (t *terminal) restore(group int) {
	if t != nil && t.lent.Load() {
		t.handTo(group)
	}
}

// takeBack ends what handTo did, for the script that called us.
func (t *terminal) takeBack() {
	if t != nil && t.lent.Load() {
		t.setForeground(unix.Getpgrp())
	}
}

// Suspend stops this process group, so that the shell sees a stopped job, and
// returns when it is continued.
//
// It uses SIGTTIN for two reasons. A Go program that once asked for SIGTSTP cannot restore its default
// effect. And where no process could continue this one (an orphaned process group, the first process
// of a container) the kernel drops SIGTTIN, but not SIGSTOP. Whether the kernel dropped it is not
// visible, hence the timer: it does not run while this process is stopped.
func Suspend() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, unix.SIGCONT)
	defer signal.Stop(continued)
	_ = unix.Kill(0, unix.SIGTTIN)
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-continued:
	case <-timer.C:
	}
}
