//go:build unix

package demo

import (
	"os"

	"golang.org/x/sys/unix"
)

// terminalSize returns columns and rows, or false if f is no terminal.
func terminalSize(f *os.File) (width, height int, ok bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0, false
	}
	if size.Col == 0 || size.Row == 0 { // a terminal that does not tell
		return 80, 24, true
	}
	return int(size.Col), int(size.Row), true
}
