package redisproc

import (
	"os"
	"os/exec"
	"runtime"
)

// process is one run of the server.
type process struct {
	pid  int
	os   *os.Process
	gone chan struct{} // closed when the process has ended and was waited for
}

// spawn starts the binary with its output appended to a file: a file needs no
// goroutine to copy it.
//
// One goroutine both starts the process and waits for it, locked to its
// thread. On Linux the kernel kills the child when the *thread* that started
// it ends (see dieWithParent), and this way the thread lives as long as the
// child. The goroutine ends with the process, which kill brings about.
func spawn(binary string, args, env []string, log string) (*process, error) {
	type started struct {
		p   *process
		err error
	}
	result := make(chan started, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()

		out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			result <- started{err: err}
			return
		}
		defer out.Close()
		cmd := exec.Command(binary, args...)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.Env = append(os.Environ(), env...)
		cmd.SysProcAttr = dieWithParent()
		if err := cmd.Start(); err != nil {
			result <- started{err: err}
			return
		}
		p := &process{pid: cmd.Process.Pid, os: cmd.Process, gone: make(chan struct{})}
		result <- started{p: p}
		_ = cmd.Wait() // it was killed, or its log has the reason
		close(p.gone)
	}()
	r := <-result
	return r.p, r.err
}

func (p *process) kill() {
	_ = p.os.Kill() // an error means that it has ended already
	<-p.gone
}
