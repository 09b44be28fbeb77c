package quorumlock_test

import (
	"flag"
	"os"
	"testing"
)

// What takes minutes runs with REDLOCK_LONG=1, as CONTRIBUTING.md says. Without it each
// test still tests what it is about, with fewer rounds, or on the clients as most
// services use them.
func long() bool { return os.Getenv("REDLOCK_LONG") != "" }

// rounds is how often something is done that finds more the oftener it is done.
func rounds(few, all uint64) uint64 {
	if long() {
		return all
	}
	return few
}

// onlyLong skips a test that another one stands for as a rule.
func onlyLong(t *testing.T) {
	t.Helper()
	if !long() {
		t.Skip("with REDLOCK_LONG=1: the default options stand for it")
	}
}

// waitTogether lets more tests run in parallel than there are processors: those that say
// t.Parallel wait for servers, most of the time.
func waitTogether() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "8") // it is a number
	}
}
