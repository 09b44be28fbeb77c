//go:build unix && !linux

package child

import "golang.org/x/sys/unix"

// signal signals the group, which has its number for as long as a process is in it.
func (w ward) signal(sig unix.Signal) error { return unix.Kill(-w.group, sig) }
