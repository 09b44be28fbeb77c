package testbed

import (
	"os"
	"testing"
)

// What takes minutes runs with REDLOCK_LONG=1, as CONTRIBUTING.md says. Without it each
// test still tests what it is about, with fewer rounds, or on the clients as most
// services use them.

// Long reports whether there is time for that.
func Long() bool { return os.Getenv("REDLOCK_LONG") != "" }

// Rounds is how often something is done that finds more the oftener it is done.
func Rounds(few, all uint64) uint64 {
	if Long() {
		return all
	}
	return few
}

// OnlyLong skips a test that another one covers as a rule.
func OnlyLong(t testing.TB) {
	t.Helper()
	if !Long() {
		t.Skip("with REDLOCK_LONG=1: the default options cover it")
	}
}
