// Package adapters_test tests what is between the lock and a client library: on
// servers, on masters in memory, and on servers that say what real ones rarely do.
package adapters_test

import (
	"testing"

	"github.com/quorumlock/quorumlock/test/internal/testbed"
)

func TestMain(m *testing.M) { testbed.Main(m) }

var (
	certificate      = testbed.Certificate
	newDirect        = testbed.NewDirect
	newGoRedisClient = testbed.NewGoRedisClient
	closedAddr       = testbed.ClosedAddr
	onlyLong         = testbed.OnlyLong
	patience         = testbed.Patience
	pipelined        = testbed.Pipelined
	redigoDial       = testbed.RedigoDial
	wantError        = testbed.WantError
)
