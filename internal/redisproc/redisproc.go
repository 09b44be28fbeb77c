// Package redisproc starts real redis-server processes for tests and benchmarks. It freezes and kills
// them, and starts them again with or without their data.
//
// A claim about what a server does is tested against a server. The in-memory
// servers of package redlocktest are for everything else.
package redisproc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/quorumlock/quorumlock/internal/port"
)

// TB is the part of [testing.TB] that Start needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Logf(format string, args ...any)
	TempDir() string
}

// Options say how the server is started. The zero value is an empty server
// without persistence and without a password.
type Options struct {
	// Args are appended to the command line, so they win over what Start
	// gives: "--appendonly", "yes" makes a server that keeps its data.
	Args []string

	// Env is added to the environment of the server.
	Env []string

	// Password, if set, is required from clients ("--requirepass") and sent by
	// [Server.Do].
	Password string

	// Timeout bounds one [Server.Do], and each start until the server answers
	// ten times as much. Zero is 3 seconds.
	Timeout time.Duration

	config string // a Sentinel's
}

const defaultTimeout = 3 * time.Second

// ErrNotInstalled is matched by the error of [Launch] when there is no
// redis-server to start. Its text says how to get one.
var ErrNotInstalled = errors.New(`redis-server not found: install it ("apt-get install redis-server", "brew install redis") or name it in REDIS_SERVER`)

// Start starts a server that ends with the test. Without a redis-server in
// PATH (or in the environment variable REDIS_SERVER) the test is skipped, but
// fails where CI is set: a suite that skips silently there proves nothing.
func Start(tb TB, opts Options) *Server {
	tb.Helper()
	binary, err := find()
	if err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatalf("%v", err)
		}
		tb.Skipf("%v", err)
	}
	s, err := launch(binary, tb.TempDir(), opts)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	s.tb = tb
	tb.Cleanup(func() {
		s.Stop()
		if t, ok := tb.(interface{ Failed() bool }); ok && t.Failed() {
			tb.Logf("output of redis-server on %s:\n%s", s.addr, s.Output())
		}
	})
	return s
}

// Launch starts a server for a program that is no test. End it with
// [Server.Stop].
func Launch(opts Options) (*Server, error) {
	binary, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "redisproc-")
	if err != nil {
		return nil, fmt.Errorf("redisproc: make the server's directory: %w", err)
	}
	s, err := launch(binary, dir, opts)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.ownDir = true
	return s, nil
}

func find() (string, error) {
	name := os.Getenv("REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w (%w)", ErrNotInstalled, err)
	}
	// The server runs in another directory.
	return filepath.Abs(path)
}

// launch starts a server on a free port that stays reserved for it. Where a port cannot be
// reserved it can be taken before the server binds it, so a few are tried.
func launch(binary, dir string, opts Options) (*Server, error) {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	var failed error
	for range 5 {
		reserved, err := port.Reserve()
		if err != nil {
			return nil, fmt.Errorf("redisproc: %w", err)
		}
		s := newServer(binary, dir, reserved, opts)
		err = s.start()
		if err == nil {
			return s, nil
		}
		reserved.Release()
		failed = err
		if !errors.Is(err, errPortTaken) {
			break
		}
	}
	return nil, failed
}
