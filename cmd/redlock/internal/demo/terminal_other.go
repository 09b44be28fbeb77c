//go:build !unix

package demo

import "os"

// terminalSize finds no terminal: the demo writes lines.
func terminalSize(*os.File) (width, height int, ok bool) { return 0, 0, false }
