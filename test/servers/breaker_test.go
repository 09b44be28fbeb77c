package servers_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// What a node gets while it does not answer it has to carry out when it goes on,
// and has a pending release for each. A few hundred connections more than it accepts
// (tcp-backlog, 511), and the kernel holds commands back for seconds after that.
// So it must be a number that does not depend on how much work there is.
func TestAFrozenNodeIsSentOnlySoMuchHoweverMuchWorkThereIs(t *testing.T) {
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		var dials atomic.Int64
		locker := lib.NewLocker(t, all.addrs(), func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == all[0].Addr() {
				dials.Add(1)
			}
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
		})
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			_ = locker.Close(ctx)
		}()
		mustUnlock(t, mustLock(t, locker, "warm"))
		all[:1].freeze(t)

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var cycles, failed atomic.Int64
		var workers sync.WaitGroup
		for i := range 8 {
			workers.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					lock := mustLock(t, locker, fmt.Sprintf("job-%d-%d", i, n))
					// The others may be slow, too: this is about what the frozen one is sent.
					switch err := lock.Unlock(context.Background()); {
					case errors.Is(err, redlock.ErrNoQuorum):
						failed.Add(1)
					case err != nil:
						t.Errorf("unlock: %v", err)
					}
					cycles.Add(1)
				}
			})
		}
		workers.Wait()
		t.Logf("%d cycles, %d connections to the frozen node", cycles.Load(), dials.Load())
		if failed.Load() > cycles.Load()/10 {
			t.Errorf("%d of %d releases were not confirmed", failed.Load(), cycles.Load())
		}
		// 128 calls at a time, 64 of unknown outcome that open the circuit breaker, and the
		// probes, with room to spare.
		if n := dials.Load(); n > 400 {
			t.Errorf("%d connections were made to a node that answers nothing", n)
		}
		all.thaw(t)
	})
}
