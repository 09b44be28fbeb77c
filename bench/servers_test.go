package main

import (
	"testing"

	"github.com/quorumlock/quorumlock/internal/redisproc"
)

// startTestServers starts servers that end with the test.
func startTestServers(tb testing.TB, n int) servers {
	tb.Helper()
	var s servers
	for range n {
		s = append(s, redisproc.Start(tb, redisproc.Options{}))
	}
	return s
}
