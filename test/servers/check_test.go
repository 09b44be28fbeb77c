package servers_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// durable are servers that forget nothing.
var durable = redisproc.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}}

// check checks, and returns what was found, without the summaries, without what a
// busy machine does to round trips, without the version, which differs, and without the
// number of nodes.
func check(t testing.TB, locker *redlock.Locker) []redlock.Finding {
	t.Helper()
	found, err := locker.Check(within20(t))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(found, func(f redlock.Finding) bool {
		return f.Check == "summary" || f.Check == "latency" || f.Check == "version" || f.Check == "even" || f.Check == "clock" && f.Severity == redlock.SeverityNote
	})
}

// wantFound wants one finding about a node and nothing else: its severity, its check,
// and texts in it.
func wantFound(t testing.TB, found []redlock.Finding, severity redlock.Severity, check, node string, texts ...string) {
	t.Helper()
	if len(found) != 1 || found[0].Severity != severity || found[0].Check != check || found[0].Node != node {
		t.Fatalf("want one %v about %s of %s, got %v", severity, check, node, found)
	}
	wantTexts(t, found[0], texts...)
}

func wantTexts(t testing.TB, f redlock.Finding, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(f.String(), text) {
			t.Errorf("%q is missing in %v", text, f)
		}
	}
}

func TestCheckOfHealthyServersFindsNothingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, durable)
		locker := lib.Locker(t, all.addrs())
		if found := check(t, locker); len(found) > 0 {
			t.Errorf("found %v", found)
		}
		found, err := locker.Check(within20(t))
		if err != nil {
			t.Fatal(err)
		}
		found = slices.DeleteFunc(found, func(f redlock.Finding) bool { return f.Check != "summary" })
		if len(found) != 3 {
			t.Fatalf("found %v", found)
		}
		for i, f := range found {
			if f.Severity != redlock.SeverityNote || f.Node != all[i].Addr() {
				t.Errorf("%v", f)
			}
			form := "SET NX GET"
			if isOld(t, all[i]) {
				form = "a script"
			}
			wantTexts(t, f, "version ", "role master", "up ", "a test lock was taken by "+form, "round trip", "clock rate ")
		}
		if keys := all.keys(t); len(keys) > 0 {
			t.Errorf("it left %q", keys)
		}
	})
}

func TestCheckFindsWhatIsWrongWithAServer(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, durable)
		odd, addr := all[:1], all[0].Addr()
		master := startServers(t, 1, redisproc.Options{})[0]
		locker := lib.Locker(t, all.addrs(), redlock.WithTTL(2*time.Second), redlock.WithNodeTimeout(300*time.Millisecond))

		odd.must(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
		wantFound(t, check(t, locker), redlock.SeverityWarning, "eviction", addr, "allkeys-lru", "CONFIG SET maxmemory-policy noeviction")
		odd.must(t, "CONFIG", "SET", "maxmemory", "1gb")
		wantFound(t, check(t, locker), redlock.SeverityError, "eviction", addr, "maxmemory 1.0 GiB")
		odd.must(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
		odd.must(t, "CONFIG", "SET", "maxmemory", "1")
		found := check(t, locker)
		if isOld(t, all[0]) { // which cannot be asked for rights, and some cannot be tried without memory
			found = slices.DeleteFunc(found, func(f redlock.Finding) bool { return f.Check == "unknown" })
		}
		if len(found) != 2 || found[0].Check != "self-test" || found[1].Check != "memory" {
			t.Errorf("with 1 byte: %v", found)
		}
		odd.must(t, "CONFIG", "SET", "maxmemory", "0")

		odd.must(t, "CONFIG", "SET", "no-appendfsync-on-rewrite", "yes")
		wantFound(t, check(t, locker), redlock.SeverityWarning, "persistence", addr, "no-appendfsync-on-rewrite")
		odd.must(t, "CONFIG", "SET", "no-appendfsync-on-rewrite", "no")

		// A replica: its data is gone afterwards, so it comes last.
		odd.must(t, "REPLICAOF", "127.0.0.1", strconv.Itoa(master.Port))
		eventually(t, "it is a replica with data", func() bool {
			info, _ := all[0].Do("INFO", "replication")
			return strings.Contains(fmt.Sprint(info), "master_link_status:up")
		})
		wantFound(t, check(t, locker), redlock.SeverityError, "role", addr, "it is a replica", "REPLICAOF NO ONE")
		if keys := all.keys(t); len(keys) > 0 {
			t.Errorf("it left %q", keys)
		}
	})
}

func TestCheckSaysWhatARestartForgetsAndThatThereWasOne(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := servers{
			redisproc.Start(t, durable),
			redisproc.Start(t, redisproc.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "everysec"}}),
			redisproc.Start(t, redisproc.Options{Args: []string{"--save", "3600", "1"}}),
			redisproc.Start(t, redisproc.Options{}),
			redisproc.Start(t, durable),
		}
		// None of them is as old as that.
		found := check(t, lib.Locker(t, all.addrs(), redlock.WithTTL(time.Minute)))
		want := []string{"1 persistence everysec", "1 uptime ago", "2 persistence snapshots only", "2 uptime ago", "3 persistence nothing is persisted", "3 uptime ago"}
		if len(found) != len(want) {
			t.Fatalf("found %v", found)
		}
		for i, w := range want {
			words := strings.SplitN(w, " ", 3)
			n, _ := strconv.Atoi(words[0])
			if f := found[i]; f.Severity != redlock.SeverityWarning || f.Node != all[n].Addr() || f.Check != words[1] || !strings.Contains(f.Seen, words[2]) {
				t.Errorf("got %v, want %s", f, w)
			}
		}
	})
}

func TestCheckSeesThatTwoNamesAreOneServer(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 2, durable)
		_, port, _ := net.SplitHostPort(all[0].Addr())
		again := "localhost:" + port
		locker := lib.Locker(t, append(all.addrs(), again))
		wantFound(t, check(t, locker), redlock.SeverityError, "distinct", again, "same server as "+all[0].Addr(), "votes twice")

		// By what was stored there, for a user that may not ask for its name.
		all.must(t, "ACL", "SETUSER", "app", "on", ">"+secret, "~*", "&*", "+@all", "-info")
		locker = lockerAs(t, lib, append(all.addrs(), again), "app", secret)
		found := check(t, locker)
		// Which of the two was asked first is a matter of chance: the later in order is named.
		if len(found) != 4 || found[0].Check != "distinct" || found[0].Node != again {
			t.Errorf("found %v", found)
		}
	})
}

func TestCheckSeesReplicasAndSentinels(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 1, durable)
		locker := lib.Locker(t, all.addrs())
		client := newGoRedis(t, all[0].Addr(), nil)
		sentinel := client.Subscribe(context.Background(), "__sentinel__:hello")
		defer sentinel.Close()
		if _, err := sentinel.Receive(context.Background()); err != nil {
			t.Fatal(err)
		}
		wantFound(t, check(t, locker), redlock.SeverityWarning, "replication", all[0].Addr(), "0 replicas", "1 sentinels")

		replica := startServers(t, 1, redisproc.Options{})
		replica.must(t, "REPLICAOF", "127.0.0.1", strconv.Itoa(all[0].Port))
		eventually(t, "the replica is connected", func() bool {
			info, _ := all[0].Do("INFO", "replication")
			return strings.Contains(fmt.Sprint(info), "connected_slaves:1")
		})
		wantFound(t, check(t, locker), redlock.SeverityWarning, "replication", all[0].Addr(), "1 replicas", "lacks the last locks")
	})
}

func TestCheckOfServersThatAreDownFrozenOrKeepUsOut(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, durable)
		locker := lib.Locker(t, all.addrs(), redlock.WithNodeTimeout(300*time.Millisecond))
		all[:1].freeze(t)
		all[1].Kill()
		begun := time.Now()
		found := check(t, locker)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(found) != 2 {
			t.Fatalf("found %v", found)
		}
		for i, texts := range [][]string{{"no answer within 1s", "hangs"}, {"refused", "start the server"}} {
			wantFound(t, found[i:i+1], redlock.SeverityError, "reachable", all[i].Addr(), append(texts, "impossible now: 1 of 3")...)
		}
		all[:1].thaw(t)
		all[1].Restart()

		all[2:].must(t, "CONFIG", "SET", "requirepass", secret)
		stranger := lockerAs(t, lib, all.addrs(), "", "wrong-"+secret)
		for _, f := range check(t, stranger) {
			if strings.Contains(f.String(), secret) {
				t.Errorf("it shows a password: %v", f)
			}
			if f.Node == all[2].Addr() {
				wantFound(t, []redlock.Finding{f}, redlock.SeverityError, "reachable", f.Node, "WRONGPASS", "check the user name and password")
			}
		}
		if _, err := all[2].Do("PING"); err == nil {
			t.Error("the password is not asked for")
		}
	})
}
