package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"
)

// A process is a worker, as its parent sees it.
type process struct {
	task    task
	killed  atomic.Bool // by a fault
	command *exec.Cmd
	stdin   io.WriteCloser
	gone    chan struct{} // closed when it has ended
	err     error         // how; after gone
}

// A saying is a word of a worker, or its end.
type saying struct {
	word
	process int
	ended   bool
	killed  bool   // and that was a fault
	dead    *death // of a worker: all that it said has been said
}

// A death is the end of a worker that a fault killed.
type death struct {
	at   time.Duration
	over time.Duration // by then, all that it had sent to the resource was carried out
}

// startWorker starts this program again. What it says goes to said, each word once, and
// the last is that it has ended; said need not be read once quit is closed.
//
// One goroutine both starts it and waits for it, locked to its thread: when that ends, the
// kernel kills the worker (see dieWithParent). It and the reader end with the worker.
func startWorker(t task, said chan<- saying, quit <-chan struct{}) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argument, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	p := &process{task: t, command: exec.Command(self, workerCommand, string(argument)), gone: make(chan struct{})}
	p.command.Env = append(os.Environ(), workerEnvironment+"=1")
	p.command.Stderr = os.Stderr
	p.command.SysProcAttr = dieWithParent()
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	started := make(chan error)
	read := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		started <- err
		if err == nil {
			<-read // Wait closes what is read
			p.err = p.command.Wait()
		}
		close(p.gone)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	go func() {
		defer close(read)
		for in := json.NewDecoder(stdout); ; {
			s := saying{process: t.Process}
			if s.ended = in.Decode(&s.word) != nil; s.ended {
				s.killed = p.killed.Load()
			}
			select {
			case said <- s:
			case <-quit:
			}
			if s.ended {
				return
			}
		}
	}()
	return p, nil
}

// workerEnvironment makes the test binary be a worker, too.
const workerEnvironment = "TORTURE_WORKER"

// relax notifies the worker that all faults have ended.
func (p *process) relax() error {
	_, err := io.WriteString(p.stdin, "calm\n")
	return err
}

// end kills the worker if it has not ended, and returns when it has.
func (p *process) end() {
	_ = p.command.Process.Kill() // nothing to do if it has ended
	<-p.gone
}

// finish lets a worker that has said its last word end.
func (p *process) finish() error {
	if err := p.stdin.Close(); err != nil {
		return err
	}
	<-p.gone
	return p.err
}
