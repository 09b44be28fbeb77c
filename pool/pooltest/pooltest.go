// Package pooltest states what an adapter owes the lock, as named tests.
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
// The suite brings its own server, which answers in the protocol that the
// client asks for (RESP2, or RESP3 after HELLO 3), and which freezes, stalls,
// hangs up or refuses as each case needs. So no Redis is needed, and a case that
// fails does so for the reason that it names.
//
// Run it with the options that your users have, which are the client's
// defaults, and once more with a connection pool of one: every duty holds there
// as well. Give the client a password too (the server takes any), so that the
// case about credentials has something to look for. Run it under -race.
//
// If the pool implements [pool.Subscriber], the suite's server publishes, refuses to
// be listened to and breaks such connections as well. A subscription has to outlast
// the client's read timeout; the case about silence notices one below 700 ms, which
// megabytes under -race may need. So test that apart.
//
// If the pool implements [pool.Submitter], commands are submitted to it as well, with
// a receiver that counts what it is told and writes over the arguments then, which is
// another reason for -race, and with contexts that notice who uses them after that.
package pooltest

import (
	"slices"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// An Opener opens a pool on the server at addr ("127.0.0.1:34567") and has
// tb.Cleanup close it. Nothing may be listening at addr, so it sends nothing, or
// does not mind if that fails: a client that connects when it is made needs the option
// that has it wait until the first command.
type Opener func(tb testing.TB, addr string) pool.Pool

// Run runs every case on pools that open opens. It takes a few seconds.
//
// The cases about subscriptions are for pools that implement [pool.Subscriber]. They are
// skipped for others, and for one whose Subscribe returns an error that matches
// [errors.ErrUnsupported], as a connection pool of one must. The cases about
// submitting are for pools that implement [pool.Submitter], and skipped for others.
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

// slack is what a call may take beyond its deadline: enough for a loaded machine and
// for an adapter that rounds, and less than the three to five seconds after which
// clients give up by themselves. It is a variable for the suite's own test.
var slack = 2500 * time.Millisecond

// patience bounds what must succeed. It is a variable for the suite's own test.
var patience = 20 * time.Second

// setup starts a server and opens a pool on it.
func setup(tb testing.TB, open Opener) (*server, pool.Pool) {
	tb.Helper()
	s := startServer(tb)
	return s, open(tb, s.addr)
}
