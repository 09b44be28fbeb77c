// Package servers_test tests the lock, through both client libraries, on real servers.
package servers_test

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
	certificate         = testbed.Certificate
	eventually          = testbed.Eventually
	long                = testbed.Long
	mustLock            = testbed.MustLock
	mustUnlock          = testbed.MustUnlock
	newGoRedis          = testbed.NewGoRedis
	newGoRedisClient    = testbed.NewGoRedisClient
	closedAddr          = testbed.ClosedAddr
	patience            = testbed.Patience
	pipelined           = testbed.Pipelined
	redigoDial          = testbed.RedigoDial
	rounds              = testbed.Rounds
	settle              = testbed.Settle
	unhurried           = testbed.Unhurried
	wantError           = testbed.WantError
	viaGoRedis          = testbed.ViaGoRedis
	viaPipelinedGoRedis = testbed.ViaPipelinedGoRedis
	viaRedigo           = testbed.ViaRedigo
	wantText            = testbed.WantText
	withEach            = testbed.WithEach
	withTwo             = testbed.WithTwo
)

// secret is what no name and no error may show.
const secret = "correct-horse-battery-staple"
