//go:build unix && !linux

package child

import "syscall"

func attributes(pidfd *int) *syscall.SysProcAttr {
	*pidfd = -1
	return &syscall.SysProcAttr{Setpgid: true}
}
