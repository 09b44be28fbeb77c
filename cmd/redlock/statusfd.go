package main

import (
	"fmt"
	"os"
)

// A statusFile is what --status-fd names. Exit codes alone cannot distinguish the codes of redlock
// from those of the command, which may be any; what a script prints on the other streams is
// not distinguished from what the command prints there. timeout(1) and env(1) leave it at rare codes.
type statusFile struct {
	file *os.File // nil without --status-fd
}

// openStatus opens the file descriptor, before anything else is opened that could get its
// number.
func openStatus(fd int) (statusFile, error) {
	if fd == 0 {
		return statusFile{}, nil
	}
	if fd < 3 {
		return statusFile{}, endWith(exitUsage, fmt.Errorf("--status-fd %d: give 3 or more: the command has 0 to 2", fd))
	}
	file, err := openFD(fd)
	if err != nil {
		return statusFile{}, endWith(exitUsage, fmt.Errorf("--status-fd %d: %w", fd, err))
	}
	return statusFile{file}, nil
}

// write says how the run ended.
func (s statusFile) write(end error) error {
	if s.file == nil {
		return nil
	}
	defer s.file.Close()
	_, err := fmt.Fprintf(s.file, "%s %d\n", wordOf(end), codeOf(end))
	return err
}
