//go:build !unix

package main

import "io"

const plainWidth = 80

// widthOf is for systems where it is not asked.
func widthOf(io.Writer) int { return plainWidth }

// isTerminal reports whether w is a terminal, where that can be known.
func isTerminal(io.Writer) bool { return false }
