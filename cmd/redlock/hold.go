package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/cmd/redlock/internal/child"
	"github.com/quorumlock/quorumlock/redlock"
)

// hold is the time in which the command runs and the lock is held, or the leadership.
type hold struct {
	lock    *redlock.Lock
	what    string // what is held: "the lock"
	named   string // the same with its name
	held    func() bool
	unlock  func(context.Context) error
	grace   time.Duration
	signals <-chan os.Signal
	say     *log.Logger
	verbose bool
	began   time.Time
	lost    bool
}

// run runs the command and releases the lock, however the command ended.
func (h *hold) run(path string, argv, env []string) error {
	if !h.held() { // the steps before took too long
		h.lost = true
		h.release()
		return endWith(exitLost, fmt.Errorf("%s was lost before the command was started: %s", h.what, trimmed(context.Cause(h.lock.Context()))))
	}
	c, err := child.Start(path, argv, env, h.grace, h.held)
	if err != nil {
		h.release()
		return notStarted(argv[0], err)
	}
	if err := c.Unguarded(); err != nil {
		h.say.Printf("warning: if redlock is killed, children of the command live on without %s: %v", h.what, err)
	}
	h.watch(c)
	c.Leave()
	// From here on the lock has no use: processes that the command left in the background run on
	// without it, as they do without redlock.
	h.release()
	if h.lost {
		return endWith(exitLost, fmt.Errorf("%s was lost; the command ended with exit code %d", h.what, c.Code()))
	}
	return commandEnded(c.Code())
}

// watch returns when the command has ended, and if the lock was lost, when its
// children have ended, too.
func (h *hold) watch(c *child.Child) {
	end := h.lock.Context().Done()
	var kill <-chan time.Time
	said := make(chan struct{}) // closed when the loss was printed
	for {
		select {
		case sig := <-h.signals:
			c.Forward(sig)
		case <-end:
			end = nil
			h.lost = true
			c.Terminate()
			kill = time.After(h.grace)
			go func() { // ends when stderr is read; it may never be
				defer close(said)
				h.say.Printf("%s was lost: %s; the command gets SIGTERM now, SIGKILL after %v",
					h.named, trimmed(context.Cause(h.lock.Context())), h.grace)
			}()
		case <-kill:
			kill = nil
			c.Kill()
		case <-c.Done():
			if !h.lost {
				return
			}
			if kill == nil || !c.Gone(kill) { // after SIGKILL there is nothing to wait for
				c.Kill()
			}
			select {
			case <-said:
			case <-time.After(time.Second):
			}
			return
		}
	}
}

// release releases the lock. If that fails it only warns, since the lock expires. But if the lock
// was gone already, another holder may have worked at the same time: then the lock counts as lost.
func (h *hold) release() {
	err := h.unlock(context.Background()) // takes no longer than the node timeout
	switch {
	case h.lost:
	case err == nil && h.verbose:
		h.say.Printf("%s was released after %v", h.named, rounded(time.Since(h.began)))
	case err == nil:
	case errors.Is(err, redlock.ErrNotHeld):
		h.lost = true
		h.say.Printf("when the command ended, it turned out: %s", trimmed(err))
	default:
		h.say.Printf("warning: %s", trimmed(err))
	}
}

// notStarted returns the error of starting a command, with its exit code.
func notStarted(command string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return endWith(exitNotExec, fmt.Errorf("%s: %w (a script begins with a line such as #!/bin/sh)", command, err))
	case errors.Is(err, fs.ErrPermission):
		return endWith(exitNotExec, err)
	case errors.Is(err, fs.ErrNotExist): // gone since we looked, or its interpreter is
		return endWith(exitNotFound, err)
	}
	return endWith(exitSystem, fmt.Errorf("start %s: %w", command, err))
}
