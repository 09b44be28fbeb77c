package servers_test

import (
	"context"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

func TestAJobOfAllInstancesRunsOncePerTickOnRealServers(t *testing.T) {
	t.Parallel()
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		instances := []*redlock.Locker{lib.Locker(t, all.addrs()), lib.Locker(t, all.addrs()), lib.Locker(t, all.addrs())}
		name := lib.Name // of a job for each library
		for tick := range 2 {
			begun, ran := wallClock(), 0
			for _, locker := range instances {
				err := locker.Do(t.Context(), name, func(context.Context) error { ran++; return nil },
					redlock.WithMinHold(1500*time.Millisecond), redlock.WithMaxTries(1))
				if wallClock().Sub(begun) > 1400*time.Millisecond {
					t.Skip("the machine is too busy to be early")
				}
				if ran == 1 && err != nil {
					wantError(t, err, redlock.ErrTaken)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if ran != 1 {
				t.Errorf("tick %d: it ran %d times", tick, ran)
			}
			// The keys go by themselves, and not before.
			eventually(t, "the next tick can begin", func() bool {
				state, err := instances[0].Inspect(t.Context(), name)
				return err == nil && state.Holder == ""
			})
			if took := wallClock().Sub(begun); took < 1500*time.Millisecond {
				t.Errorf("tick %d: it was free after %v", tick, took)
			}
		}
	})
}
