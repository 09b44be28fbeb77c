package child

import "syscall"

// attributes are those of the command. pidfd is set to a file descriptor that stands for it,
// -1 if this Linux has none.
func attributes(pidfd *int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, PidFD: pidfd}
}
