package diagnosis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

var ourGuard = node.Guard{Nodes: 3, Longest: 8 * time.Second, Quarantine: 8082*time.Millisecond + time.Microsecond}

// guardedNodes are healthy nodes where locks were granted with our guard.
func guardedNodes(n int) []node.Facts {
	all := healthy(n)
	for i := range all {
		all[i].Marker = node.Marker{RunID: all[i].Server.RunID, Settings: "3 8000 8083"}
	}
	return all
}

func TestWhatTheGuardDoesIsReportedToItsUsers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *node.Marker)
		want   Severity
		says   []string
	}{
		"in quarantine": {func(m *node.Marker) { m.Left = 1500*time.Millisecond - time.Microsecond }, Error,
			[]string{"for another 1.5s", "2 of 3 nodes grant locks, and 2 have to", "DEL redlock:quarantine"}},
		"in quarantine for ever": {func(m *node.Marker) { m.Left = -1 }, Error, []string{"for ever", "PEXPIRE redlock:quarantine 8083"}},
		"restarted":              {func(m *node.Marker) { m.RunID = "before" }, Warning, []string{"has restarted", "a quarantine of 8.083s", "take a lock"}},
		"restarted in quarantine": {func(m *node.Marker) { m.RunID, m.Left = "before", time.Second }, Warning,
			[]string{"a quarantine of 8.083s"}}, // a new one
		"new": {func(m *node.Marker) { *m = node.Marker{} }, Warning, []string{"a quarantine of 8.083s", "or has lost its data", "DEL redlock:quarantine"}},
		"others have another TTL": {func(m *node.Marker) { m.Settings = "3 60000 60602" }, Error,
			[]string{"others lock here with 3 nodes, a longest TTL of 1m0s and a quarantine of 1m0.602s", "this client has 3 nodes, a longest TTL of 8s and a quarantine of 8.083s", "DEL redlock:node"}},
		"others have other nodes": {func(m *node.Marker) { m.RunID, m.Settings = "before", "5 8000 8083" }, Error, []string{"5 nodes"}},
		"others have something":   {func(m *node.Marker) { m.Settings = "3 8000 8083 more" }, Error, []string{`settings "3 8000 8083 more"`}},
	} {
		t.Run(name, func(t *testing.T) {
			all, s := guardedNodes(3), settings
			s.Guard = ourGuard
			c.change(&all[1].Marker)
			found := others(Judge(all, s))
			if len(found) != 1 || found[0].Severity != c.want || found[0].Check != "guard" || found[0].Node != "n1" || found[0].Endangers == "" {
				t.Fatalf("want one %v of n1, got %v", c.want, found)
			}
			for _, text := range c.says {
				if !strings.Contains(found[0].String(), text) {
					t.Errorf("%q is missing in %v", text, found[0])
				}
			}
		})
	}
}

func TestNodesInQuarantineAreNoMajority(t *testing.T) {
	all, s := guardedNodes(3), settings
	s.Guard = ourGuard
	all[0].Marker.Left, all[2].Marker.Left = time.Second, time.Second
	found := others(Judge(all, s))
	if len(found) != 2 || !strings.Contains(found[1].Endangers, "impossible until quarantines are over: 1 of 3") {
		t.Errorf("%v", found)
	}
}

func TestAClientWithoutTheGuardIsWarnedThatOthersUseIt(t *testing.T) {
	all := guardedNodes(2)
	all[1].Marker.Left = time.Second
	found := others(Judge(all, settings))
	if len(found) != 3 || found[0].Severity != Warning || found[1].Severity != Note || found[2].Check != "even" {
		t.Fatalf("%v", found)
	}
	for i, texts := range [][]string{{"n1", "while the node is in quarantine"}, {"n0", "gets past", "a longest TTL of 8s", "exclusion", "WithRestartGuard"}} {
		for _, text := range texts {
			if !strings.Contains(found[i].String(), text) {
				t.Errorf("%q is missing in %v", text, found[i])
			}
		}
	}
}

// Nothing is said about a marker that could not be read, but that.
func TestAMarkerThatCannotBeReadIsNoMarker(t *testing.T) {
	for _, guard := range []node.Guard{{}, ourGuard} {
		all, s := guardedNodes(3), settings
		s.Guard = guard
		all[1].Marker, all[1].MarkerErr = node.Marker{}, pool.Error("WRONGTYPE of key")
		all[2].Marker.Left = time.Second
		var got []string
		for _, f := range others(Judge(all, s)) {
			if f.Node != "n0" {
				got = append(got, fmt.Sprint(f.Node, " ", f.Check))
			}
			if f.Check == "unknown" && !strings.Contains(f.String(), "GET redlock:node, PTTL redlock:quarantine: WRONGTYPE") {
				t.Errorf("%v", f)
			}
		}
		if fmt.Sprint(got) != "[n2 guard n1 unknown]" {
			t.Errorf("found %q", got)
		}
	}
}

// The self-test locks without the guard where it may not see the run id of the server: that
// native commands lock there says nothing about the guard's scripts.
func TestNativeLocksWithoutTheGuardAreNoProofThatTheGuardWorks(t *testing.T) {
	for name, c := range map[string]struct {
		missing []node.MissingRight
		guarded bool // the guard's scripts were tried
		want    Severity
		check   string
		says    string
	}{
		"the user may run no script": {noScripts, false, Error, "rights", "+eval +evalsha"},
		"the server refuses scripts": {nil, false, Error, "scripts", "WithRestartGuard, which are refused"},
		"the guard's scripts work":   {nil, true, Warning, "scripts", "waiters are not notified"},
	} {
		t.Run(name, func(t *testing.T) {
			s, all := settings, guardedNodes(3)
			s.Guard = ourGuard
			all[1].Rights.Missing, all[1].SelfTest.Simple, all[1].SelfTest.Guarded = c.missing, "DELIFEQ", c.guarded
			found := others(Judge(all, s))
			if len(found) != 1 || found[0].Severity != c.want || found[0].Check != c.check || !strings.Contains(found[0].String(), c.says) {
				t.Errorf("want one %v about %s that says %q, got %v", c.want, c.check, c.says, found)
			}
		})
	}
}
