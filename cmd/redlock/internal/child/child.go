//go:build unix

// Package child runs a command as a child that redlock controls: signals are passed on, job control
// works, and the command can be ended with all its children.
//
// # Process group and terminal
//
// The command leads a process group of its own. In redlock's group it would get a terminal's Ctrl-C
// twice, from the kernel and passed on. And only the command itself could be signalled: a signal to
// the shared group also reaches redlock and the script that called it. A shell script that alone gets
// SIGTERM ends only when the program that it waits for has ended.
//
// The price is that the terminal belongs to redlock's group. So:
//
//   - Signals from the keyboard reach redlock, which passes them on, once.
//   - A command that wants the terminal (a password prompt, an editor, a shell)
//     is stopped by the kernel with SIGTTIN or SIGTTOU. Redlock sees that,
//     makes the command's group the foreground one, if it was in the foreground
//     itself, and lets the command go on; sudo(8) does the same. From then on
//     the keyboard's signals go to the command alone.
//   - When the command stops, redlock stops, so that the shell notices; when
//     redlock is continued by fg or bg, so is the command.
//
// Handing the terminal over from the start would be simpler, but
// "redlock run ... | less" would take it from less, and a Ctrl-C would end the
// command but not the script around it.
package child

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Child is a command that was started. Its methods may be called from any
// goroutine.
type Child struct {
	pid         int // and its process group
	tty         *terminal
	guard       *guard // nil if it could not be started; constant once Start has returned
	unguarded   error  // why
	mayContinue func() bool
	done        chan struct{}
	status      unix.WaitStatus // valid once done is closed
	reaped      atomic.Bool     // see signalLeader
}

// Start starts the file at path with argv and env, on this process's standard
// streams. mayContinue is asked before the command is continued after a stop.
//
// If this process dies, even by SIGKILL, the command's lock is not renewed any
// longer. Linux then ends the command itself with SIGKILL at once. On all systems the guard ends its
// process group, with SIGTERM, and with SIGKILL after grace.
func Start(path string, argv, env []string, grace time.Duration, mayContinue func() bool) (*Child, error) {
	c := &Child{mayContinue: mayContinue, tty: openTerminal(), done: make(chan struct{})}
	started := make(chan error)
	go c.live(path, argv, env, grace, started) // ends with the command
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// live starts the command and waits for it, on one operating system thread: the
// signal at the parent's death comes when the *thread* that started the command
// ends, and Go ends idle threads of goroutines that end while locked to them.
func (c *Child) live(path string, argv, env []string, grace time.Duration, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer c.tty.close()

	err := c.start(path, argv, env, grace)
	started <- err
	if err != nil {
		return
	}
	c.wait()
	c.tty.takeBack()
	close(c.done)
}

// start starts the command. A guard knows its process group before it runs, if there is one.
func (c *Child) start(path string, argv, env []string, grace time.Duration) error {
	guard, err := startGuard()
	if err != nil {
		return c.startUnguarded(path, argv, env, err)
	}
	s, err := newStarter()
	if err != nil {
		guard.discard()
		return c.startUnguarded(path, argv, env, err)
	}
	if err := launch(guard, s, path, argv, env, grace); err != nil {
		guard.discard() // before another group may get the number
		s.reap()
		return err
	}
	c.pid, c.guard = s.pid, guard
	go guard.keep() // ends with dismiss
	return nil
}

// launch sends the group to the guard, and then lets the starter become the command.
func launch(g *guard, s *starter, path string, argv, env []string, grace time.Duration) error {
	g.watch(s.pid, s.pidfd, grace)
	return s.become(path, argv, env)
}

// startUnguarded starts the command itself.
func (c *Child) startUnguarded(path string, argv, env []string, why error) (err error) {
	c.unguarded = why
	pidfd := -1
	c.pid, err = start(path, argv, env, []uintptr{0, 1, 2}, &pidfd)
	return err
}

// start starts a process with the attributes of the command. It is not an [os.Process], which does
// not report stops.
func start(path string, argv, env []string, files []uintptr, pidfd *int) (pid int, err error) {
	pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: env, Files: files, Sys: attributes(pidfd)})
	if err != nil {
		return 0, &os.PathError{Op: "fork/exec", Path: path, Err: err}
	}
	return pid, nil
}

// wait returns when the command has ended.
func (c *Child) wait() {
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(c.pid, &status, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // ECHILD: other code reaped it
			c.reaped.Store(true)
			return
		case status.Stopped():
			c.stopped(status.StopSignal())
		default:
			c.reaped.Store(true)
			c.status = status
			return
		}
	}
}

// stopped is called when the command was stopped.
func (c *Child) stopped(sig syscall.Signal) {
	wantsTerminal := sig == unix.SIGTTIN || sig == unix.SIGTTOU
	switch {
	case c.tty == nil || sig == unix.SIGSTOP:
		// Not by job control: the process that stopped the command will continue it. The lock is
		// kept meanwhile.
	case wantsTerminal && c.tty.handTo(c.pid):
		c.signalGroup(unix.SIGCONT)
	default:
		c.stopAlong()
	}
}

// stopAlong stops this process until the shell continues it, and then continues
// the command.
func (c *Child) stopAlong() {
	Suspend()
	c.resume()
}

// resume continues a stopped command, if it may.
func (c *Child) resume() {
	if c.mayContinue() {
		c.tty.restore(c.pid)
		c.signalGroup(unix.SIGCONT)
	}
}

// Unguarded returns why the command's children live on if this process is killed. It is nil if they
// do not.
func (c *Child) Unguarded() error { return c.unguarded }

// Leave ends the control of the command's process group. Processes that are still in it live on.
// Call it once, when Done is closed.
func (c *Child) Leave() { c.guard.dismiss() }

// Done is closed when the command has ended. Its children may live on.
func (c *Child) Done() <-chan struct{} { return c.done }

// Code is the command's exit code, 128+n if signal n ended it. It is valid once
// Done is closed.
func (c *Child) Code() int {
	if c.status.Signaled() {
		return 128 + int(c.status.Signal())
	}
	return c.status.ExitStatus()
}
