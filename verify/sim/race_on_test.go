//go:build race

package main

// The race detector makes a run ten times as slow.
const raceEnabled = true
