//go:build !linux

package main

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// A clock that processes share and a look at whether one has stopped are written for
// Linux only; monotonic is the first that a run needs, so it ends there.
func monotonic() (time.Duration, error) {
	return 0, errors.New("torture runs on Linux only")
}

func dieWithParent() *syscall.SysProcAttr { return nil }
func stopProcess(*os.Process) error       { return errors.ErrUnsupported }
func continueProcess(*os.Process) error   { return errors.ErrUnsupported }
func killed(error) bool                   { return false }
