// Package quorum_test tests the lock, through both client libraries, on masters in memory
// that stop, freeze, lose and forget.
package quorum_test

import (
	"testing"

	"github.com/quorumlock/quorumlock/test/internal/testbed"
)

func TestMain(m *testing.M) { testbed.Main(m) }

type (
	library  = testbed.Library
	dialFunc = testbed.DialFunc
)

var (
	eventually = testbed.Eventually
	mustLock   = testbed.MustLock
	mustUnlock = testbed.MustUnlock
	rounds     = testbed.Rounds
	settle     = testbed.Settle
	unhurried  = testbed.Unhurried
	wantError  = testbed.WantError
	wantText   = testbed.WantText
	viaGoRedis = testbed.ViaGoRedis
	within     = testbed.Within
	withEach   = testbed.WithEach
	withSome   = testbed.WithSome
	withTwo    = testbed.WithTwo
)
