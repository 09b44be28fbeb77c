package redisproc

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

// dieWithParent makes the kernel kill the server when the thread that started
// it ends, so that a crashed test binary leaves nothing behind.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

func (p *process) freeze() error {
	if err := p.os.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p.awaitStopped()
	return nil
}

func (p *process) thaw() error { return p.os.Signal(syscall.SIGCONT) }

// awaitStopped returns when the process has stopped: SIGSTOP is delivered
// asynchronously, and a command sent right after it could still be executed.
// The kernel offers no event for this that does not compete with Wait.
func (p *process) awaitStopped() {
	deadline := time.Now().Add(time.Second)
	for time.Now().Before(deadline) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
		if err != nil {
			return
		}
		// "pid (name) state ...", and the name may hold anything.
		if i := bytes.LastIndexByte(stat, ')'); i >= 0 && i+2 < len(stat) && stat[i+2] == 'T' {
			return
		}
		runtime.Gosched()
	}
}
