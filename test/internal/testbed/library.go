package testbed

import (
	"hash/fnv"
	"io"
	"slices"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
)

// A Library is one of the client libraries, with its default options.
type Library struct {
	Name string
	Open func(t testing.TB, addr string, dial DialFunc) pool.Pool
}

// The libraries, plain and pipelined, and none.
var (
	ViaGoRedis          = Library{"go-redis", OpenGoRedis}
	ViaRedigo           = Library{"redigo", OpenRedigo}
	ViaPipelinedGoRedis = Library{"go-redis pipelined", OpenPipelinedGoRedis}
	ViaPipelinedRedigo  = Library{"redigo pipelined", OpenPipelinedRedigo}
	ViaDirect           = Library{"direct", OpenDirect}

	Libraries = []Library{ViaGoRedis, ViaRedigo, ViaPipelinedGoRedis, ViaPipelinedRedigo, ViaDirect}
)

// Seed returns the nth seed for a library: none is used with two of them.
func (lib Library) Seed(n uint64) uint64 {
	own := slices.IndexFunc(Libraries, func(l Library) bool { return l.Name == lib.Name })
	return n*uint64(len(Libraries)) + uint64(own)
}

// WithTwo runs a test whose claim is not about clients with one client of each kind:
// one that answers and one that calls back.
func WithTwo(t *testing.T, test func(t *testing.T, lib Library)) {
	for _, lib := range []Library{ViaGoRedis, ViaPipelinedRedigo} {
		t.Run(lib.Name, func(t *testing.T) { test(t, lib) })
	}
}

// WithSome is WithTwo, and WithEach if there is time.
func WithSome(t *testing.T, test func(t *testing.T, lib Library)) {
	if Long() {
		WithEach(t, test)
	} else {
		WithTwo(t, test)
	}
}

// WithEach runs a test with every library. If there is no time, it leaves out one of the two that have
// one connection and no reader of replies in common with another: by the name of the test, so that both
// see about half of the tests.
func WithEach(t *testing.T, test func(t *testing.T, lib Library)) {
	name := fnv.New32a()
	_, _ = io.WriteString(name, t.Name())
	without := []Library{ViaPipelinedRedigo, ViaDirect}[name.Sum32()%2].Name
	for _, lib := range Libraries {
		if lib.Name == without && !Long() {
			continue
		}
		t.Run(lib.Name, func(t *testing.T) { test(t, lib) })
	}
}

// Locker returns a Locker on the masters at addrs. When the test ends, Close must settle
// everything, so a test ends its faults. That may take one TTL: the fate of a command that
// was not answered is certain only when its key would have expired.
func (lib Library) Locker(t testing.TB, addrs []string, opts ...redlock.Option) *redlock.Locker {
	t.Helper()
	locker := lib.NewLocker(t, addrs, nil, Unhurried(opts)...)
	t.Cleanup(func() { Settle(t, locker) })
	return locker
}

// NewLocker returns a Locker that the test closes.
func (lib Library) NewLocker(t testing.TB, addrs []string, dial DialFunc, opts ...redlock.Option) *redlock.Locker {
	t.Helper()
	var pools []pool.Pool
	for _, addr := range addrs {
		pools = append(pools, lib.Open(t, addr, dial))
	}
	locker, err := redlock.New(pools, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return locker
}
