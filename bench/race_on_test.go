//go:build race

package main

// The race detector makes a renewal ten times as dear, and then two cores
// cannot keep up with ten thousand locks.
const idleLocks = 1_000
