package quorum_test

import (
	"slices"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/test/internal/testbed"
)

// A library is one of the client libraries, with its default options.
type library struct {
	name string
	open func(t testing.TB, addr string, dial dialFunc) pool.Pool
}

type dialFunc = testbed.DialFunc

var (
	viaGoRedis          = library{"go-redis", testbed.OpenGoRedis}
	viaRedigo           = library{"redigo", testbed.OpenRedigo}
	viaPipelinedGoRedis = library{"go-redis pipelined", testbed.OpenPipelinedGoRedis}
	viaPipelinedRedigo  = library{"redigo pipelined", testbed.OpenPipelinedRedigo}

	libraries = []library{viaGoRedis, viaRedigo, viaPipelinedGoRedis, viaPipelinedRedigo}
)

// seed returns the nth seed for a library: none is used with two of them.
func (lib library) seed(n uint64) uint64 {
	own := slices.IndexFunc(libraries, func(l library) bool { return l.name == lib.name })
	return n*uint64(len(libraries)) + uint64(own)
}

// withTwo runs a test whose claim is not about clients with one client of each kind:
// one that answers and one that calls back.
func withTwo(t *testing.T, test func(t *testing.T, lib library)) {
	for _, lib := range []library{viaGoRedis, viaPipelinedRedigo} {
		t.Run(lib.name, func(t *testing.T) { test(t, lib) })
	}
}

// withSome is withTwo, and withEach if there is time.
func withSome(t *testing.T, test func(t *testing.T, lib library)) {
	if long() {
		withEach(t, test)
	} else {
		withTwo(t, test)
	}
}

// withEach runs a test with every library.
func withEach(t *testing.T, test func(t *testing.T, lib library)) {
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) { test(t, lib) })
	}
}

func (lib library) newLocker(t testing.TB, addrs []string, dial dialFunc, opts ...redlock.Option) *redlock.Locker {
	t.Helper()
	var pools []pool.Pool
	for _, addr := range addrs {
		pools = append(pools, lib.open(t, addr, dial))
	}
	locker, err := redlock.New(pools, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return locker
}
