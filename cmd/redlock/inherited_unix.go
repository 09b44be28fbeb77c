//go:build unix

package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openFD returns the file behind a descriptor that this process was started with, if it can be
// written to. The command will not inherit it: only redlock writes to it.
//
// What the Go runtime has opened has a number as well, perhaps that one. But it is closed on
// exec, and nothing is that came through one.
func openFD(fd int) (*os.File, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || own&unix.FD_CLOEXEC != 0 {
		return nil, fmt.Errorf("not open: redirect it, as in %d>FILE", fd)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, err
	}
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		return nil, fmt.Errorf("open for reading only: redirect it, as in %d>FILE", fd)
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "--status-fd"), nil
}
