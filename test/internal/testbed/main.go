// Package testbed is what the tests in all folders here need: clients with their default
// options, locks that must succeed, errors that must match, and a leak check.
package testbed

import (
	"context"
	"flag"
	"testing"

	goredisv9 "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// Main runs the tests of a package, and fails if one of them leaves a goroutine.
func Main(m *testing.M) {
	goredisv9.SetLogger(noLog{}) // it reports every dial that was refused, which is what tests are about here
	waitTogether()
	goleak.VerifyTestMain(m)
}

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// waitTogether lets more tests run in parallel than there are processors: tests with
// t.Parallel wait for servers, most of the time.
func waitTogether() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "4") // it is a number; another package runs at the same time
	}
}
