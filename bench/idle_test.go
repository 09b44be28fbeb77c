package main

import "testing"

// Ten thousand held locks are a figure that a service may have to plan with, so
// it is asserted, with room for other versions of Go and of the clients.
func TestTenThousandHeldLocksCostLittleMemoryAndAreAllRenewed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes about ten seconds")
	}
	for _, client := range []string{goRedis, redigoClient} {
		t.Run(client, func(t *testing.T) {
			r, err := measureIdle(startTestServers(t, 3), client, idleLocks)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", r)
			if limit := int64(idleLocks) * 5000; r.Memory > limit {
				t.Errorf("%d bytes in use, want at most %d (50 MB for 10,000)", r.Memory, limit)
			}
			// How many run when many renewals fall due together depends on the
			// speed of the machine; how many stay does not.
			if r.Goroutines > 1000 {
				t.Errorf("%d goroutines more when idle, want below 1000", r.Goroutines)
			}
			if r.Lost > 0 || r.Renewed < r.Locks {
				t.Errorf("after %v: %d locks lost, %d of %d renewed", r.Watched, r.Lost, r.Renewed, r.Locks)
			}
		})
	}
}
