package redisproc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/quorumlock/quorumlock/internal/port"
)

// Server is one redis-server process on 127.0.0.1. Its address stays the same
// however often it is killed and started again. It is safe for concurrent use.
//
// Methods that can fail return the error; a server of [Start] fails the test
// with it as well, so a test need not check it.
type Server struct {
	// Port is the TCP port on 127.0.0.1.
	Port int

	tb       TB // nil for Launch
	binary   string
	dir      string
	ownDir   bool
	addr     string
	reserved *port.Port
	opts     Options

	mu      sync.Mutex // protects what follows; never held by Do
	proc    *process   // nil while killed
	stopped bool
}

func newServer(binary, dir string, reserved *port.Port, opts Options) *Server {
	return &Server{
		Port:     reserved.Number,
		binary:   binary,
		dir:      dir,
		addr:     reserved.Addr(),
		reserved: reserved,
		opts:     opts,
	}
}

// Addr returns host and port.
func (s *Server) Addr() string { return s.addr }

// PID returns the process id, 0 while the server is killed.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return 0
	}
	return s.proc.pid
}

// Freeze stops the process (SIGSTOP): the kernel still accepts connections and
// takes in what clients send, nothing is executed and nothing answered. It
// returns once the process has stopped.
func (s *Server) Freeze() error {
	return s.onProcess("freeze", (*process).freeze)
}

// Thaw continues a frozen process (SIGCONT): it executes what was sent
// meanwhile, also by clients that have hung up since.
func (s *Server) Thaw() error {
	return s.onProcess("thaw", (*process).thaw)
}

func (s *Server) onProcess(verb string, do func(*process) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return s.report(fmt.Errorf("redisproc: %s %s: it is not running", verb, s.addr))
	}
	if err := do(s.proc); err != nil {
		return s.report(fmt.Errorf("redisproc: %s %s: %w", verb, s.addr, err))
	}
	return nil
}

// Kill ends the process at once (SIGKILL), frozen or not, and returns when it
// is gone. Killing a killed server does nothing.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killLocked()
}

func (s *Server) killLocked() {
	if s.proc != nil {
		s.proc.kill()
		s.proc = nil
	}
}

// Restart starts the server again on the same port, in the same directory and
// with the same arguments: empty if it has no persistence, else with what it
// wrote. A running server is killed first. It returns when the server answers.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return s.report(fmt.Errorf("redisproc: restart %s: it was stopped for good", s.addr))
	}
	s.killLocked()
	return s.report(s.startLocked())
}

// Stop ends the process for good and removes what it wrote. It may be called
// again.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killLocked()
	s.stopped = true
	s.reserved.Release()
	if s.ownDir {
		_ = os.RemoveAll(s.dir)
	}
}

// Output returns the end of what the server wrote to its log, over all of its
// starts.
func (s *Server) Output() string {
	b, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	const most = 4 << 10
	return string(b[max(0, len(b)-most):])
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "redis.log") }

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startLocked()
}

func (s *Server) startLocked() error {
	args := []string{
		"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1",
		"--dir", s.dir, "--daemonize", "no", "--loglevel", "warning",
		"--save", "", "--appendonly", "no",
	}
	if s.opts.config != "" {
		args = []string{
			s.opts.config, "--sentinel",
			"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1",
			"--dir", s.dir, "--daemonize", "no", "--loglevel", "warning",
		}
	}
	if s.opts.Password != "" {
		args = append(args, "--requirepass", s.opts.Password)
	}
	p, err := spawn(s.binary, append(args, s.opts.Args...), s.opts.Env, s.logPath())
	if err != nil {
		return fmt.Errorf("redisproc: start %s: %w", s.binary, err)
	}
	if err := s.awaitReady(p); err != nil {
		p.kill()
		return fmt.Errorf("redisproc: start redis-server on %s: %w; its output:\n%s", s.addr, err, s.Output())
	}
	s.proc = p
	return nil
}

// report passes err on, and fails the test that owns the server.
func (s *Server) report(err error) error {
	if err != nil && s.tb != nil {
		s.tb.Helper()
		s.tb.Fatalf("%v", err)
	}
	return err
}

var errPortTaken = errors.New("the port was taken in between")
