// Package pooltest tests whether an adapter, a [pool.Pool], does its duties. Each duty is the
// name of a test, as "go test -v" shows it. File contract.go lists them, with the reason why
// the lock relies on each.
//
// An adapter is tested in a few lines:
//
//	func TestMyPool(t *testing.T) {
//		pooltest.Run(t, func(tb testing.TB, addr string) pool.Pool {
//			client := myclient.Dial(addr)
//			tb.Cleanup(client.Close)
//			return mypool.New(client)
//		})
//	}
//
// The suite has its own server, so it needs no Redis. The server speaks the protocol that the
// client asks for (RESP2, or RESP3 after HELLO 3). It freezes, delays, closes connections and
// refuses commands as each case needs. A failed case logs the reason for its duty.
//
// Call Run with the client's defaults, and a password, for the case about credentials; the
// server accepts any password. Call it once more with a connection pool of one: every duty
// holds there as well. Run it under -race.
//
// If the pool implements [pool.Subscriber], the suite tests subscriptions. A subscription must
// outlast the client's read timeout. The case about silence fails if a read timeout below 700
// ms ends the subscription. To see that, give the client such a timeout in a test of its own,
// and select the case with -run: other cases have replies that are too large for the timeout
// under -race.
//
// If the pool implements [pool.Submitter], the suite submits commands. Its receivers count the
// outcomes and then overwrite the arguments, so that the race detector finds an adapter that
// reads them later. Its contexts report any use after the outcome.
package pooltest

import (
	"slices"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// An Opener opens a pool on the server at addr ("127.0.0.1:34567") and lets tb.Cleanup close it.
//
// The server may not be running yet. So an Opener sends nothing, or ignores the failure. If the
// client connects when it is made, give it the option to connect at the first command.
type Opener func(tb testing.TB, addr string) pool.Pool

// Run runs every case on pools that it gets from open. It takes a few seconds.
//
// The cases about subscriptions are for pools that implement [pool.Subscriber]. They are
// skipped for other pools, and if Subscribe returns an error that matches
// [errors.ErrUnsupported]. Subscribe must return such an error if it would take the only
// connection that commands may use, as in redigo with MaxActive 1. A go-redis client has
// another connection for it. The cases about submitting are for pools that implement
// [pool.Submitter], and skipped for others.
func Run(t *testing.T, open Opener) {
	t.Helper()
	for _, duty := range duties() {
		t.Run(duty.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("why this is a duty: %s", duty.why)
				}
			})
			duty.run(t, open)
		})
	}
}

func duties() []duty { return slices.Concat(poolDuties, subscriberDuties, submitterDuties) }

// short is the deadline of calls that cannot succeed.
const short = 100 * time.Millisecond

// slack is how long a call may take beyond its deadline. It is enough for a busy machine and for
// an adapter that rounds, and less than the three to five seconds of a client's own timeouts. It
// is a variable for the test of the suite.
var slack = 2500 * time.Millisecond

// patience bounds calls that must succeed. It is a variable for the test of the suite.
var patience = 20 * time.Second

// setup starts a server and opens a pool on it.
func setup(tb testing.TB, open Opener) (*server, pool.Pool) {
	tb.Helper()
	s := startServer(tb)
	return s, open(tb, s.addr)
}
