//go:build unix && !linux

package redisproc

import "syscall"

// dieWithParent has no counterpart here: a crashed test binary may leave its
// servers behind.
func dieWithParent() *syscall.SysProcAttr { return nil }

func (p *process) freeze() error { return p.os.Signal(syscall.SIGSTOP) }
func (p *process) thaw() error   { return p.os.Signal(syscall.SIGCONT) }
