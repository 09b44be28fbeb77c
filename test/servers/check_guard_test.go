package servers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// The guard as a check sees it: each finding, and that its remedy fixes it.
func TestCheckSaysWhatTheGuardDoes(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, durable)
		const ttl = 20 * time.Second // longer than the test takes
		open := func(nodes int, guard ...redlock.Option) *redlock.Locker {
			return lib.Locker(t, all[:nodes].addrs(), append(guard, redlock.WithTTL(ttl), redlock.WithNodeTimeout(time.Second))...)
		}
		guarded, plain := open(3, redlock.WithRestartGuard(ttl)), open(3)
		wantOnAll := func(found []redlock.Finding, n int, severity redlock.Severity, texts ...string) {
			t.Helper()
			if len(found) != n {
				t.Fatalf("found %v", found)
			}
			for i := range found {
				wantFound(t, found[i:i+1], severity, "guard", all[i].Addr(), texts...)
			}
		}
		quarantine := func() {
			t.Helper()
			_, err := guarded.TryLock(context.Background(), "job")
			wantText(t, err, "GUARDQUARANTINE")
			eventually(t, "all have been asked", func() bool { return all.carry("redlock:quarantine") == 3 })
		}

		wantOnAll(check(t, plain), 0, redlock.SeverityNote)
		wantOnAll(check(t, guarded), 3, redlock.SeverityWarning, "has granted no lock", "a quarantine of 20.205s", "DEL redlock:quarantine")
		quarantine()
		wantOnAll(check(t, guarded), 3, redlock.SeverityError, "in quarantine for another 1", "impossible until quarantines are over: 0 of 3", "DEL redlock:quarantine")
		wantOnAll(check(t, plain), 3, redlock.SeverityWarning, "others guard restarts here, with 3 nodes, a longest TTL of 20s", "gets past that", "in quarantine")
		all.must(t, "DEL", "redlock:quarantine")
		wantOnAll(check(t, guarded), 0, redlock.SeverityNote)
		mustUnlock(t, mustLock(t, guarded, "job"))
		wantOnAll(check(t, plain), 3, redlock.SeverityNote, "gets past that", "exclusion", "WithRestartGuard")

		wantOnAll(check(t, open(3, redlock.WithRestartGuard(time.Minute))), 3, redlock.SeverityError,
			"others lock here with 3 nodes, a longest TTL of 20s", "this client has 3 nodes, a longest TTL of 1m0s", "DEL redlock:node")
		two := open(2, redlock.WithRestartGuard(ttl))
		wantOnAll(check(t, two), 2, redlock.SeverityError, "with 3 nodes", "this client has 2 nodes")
		all.must(t, "DEL", "redlock:node")
		wantOnAll(check(t, two), 2, redlock.SeverityWarning, "has lost its data")
		quarantine()
		all.must(t, "DEL", "redlock:quarantine")

		if err := all[0].Restart(); err != nil { // it keeps its data, and so the marker
			t.Fatal(err)
		}
		wantOnAll(check(t, guarded), 1, redlock.SeverityWarning, "it has restarted", "2 of 3 nodes grant locks", "take a lock")
		mustUnlock(t, mustLock(t, guarded, "job"))
		eventually(t, "the first has been asked", func() bool { return all[:1].carry("redlock:quarantine") == 1 })
		wantOnAll(check(t, guarded), 1, redlock.SeverityError, "in quarantine")

		// A user without rights to the marker is warned of that.
		all.must(t, "ACL", "SETUSER", "app", "on", ">"+secret, "~*", "&*", "+@all", "resetkeys", "~app:*", "~{app:*}:*")
		found := check(t, lockerAs(t, lib, all.addrs(), "app", secret, redlock.WithPrefix("app:")))
		if len(found) != 3 {
			t.Fatalf("found %v", found)
		}
		for i := range found {
			wantFound(t, found[i:i+1], redlock.SeverityNote, "unknown", all[i].Addr(), "whether others guard restarts", "NOPERM", "+get +pttl")
		}
		_, remedy, _ := strings.Cut(found[0].Remedy, ", or ")
		all.must(t, strings.Fields(remedy)...)
		if found = check(t, lockerAs(t, lib, all.addrs(), "app", secret, redlock.WithPrefix("app:"))); len(found) != 3 || found[2].Check != "guard" {
			t.Errorf("found %v", found)
		}
	})
}
