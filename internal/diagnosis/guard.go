package diagnosis

import (
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A standing is the reaction of the restart guard to a request for a lock.
type standing int

const (
	grants      standing = iota
	disagrees            // other clients have other settings: it refuses
	noMarker             // no client has asked with a guard, or the node lost its data: a quarantine begins
	restarted            // no client has asked since the restart: a quarantine begins
	quarantined          // it refuses for a while
)

func (j *judge) standing(f *facts) standing {
	m := f.Marker
	switch {
	case m.RunID != "" && m.Settings != j.Guard.Settings():
		return disagrees
	case m.RunID == "":
		return noMarker
	case f.Server.RunID != "" && f.Server.RunID != m.RunID:
		return restarted
	case m.Left != 0:
		return quarantined
	}
	return grants
}

// guard is about nodes that may have forgotten locks, and about clients with different settings of
// the guard.
func (j *judge) guard() {
	m := j.Marker
	switch {
	case j.MarkerErr != nil, j.Cut != nil, j.SelfTest.Skipped != "":
		return // reported elsewhere
	case !j.guarded():
		j.passedBy()
		return
	}
	begins := fmt.Sprintf("the first request begins a quarantine of %v", exact(j.Guard.Quarantine))
	const warm = "take a lock before one is needed, and let that time pass (redlock run --wait, or Lock)"
	switch j.standing(j.facts) {
	case disagrees:
		j.add(Error, "guard", fmt.Sprintf("others lock here with %s, this client has %s", settingsOf(m), settingsOf(node.Marker{Settings: j.Guard.Settings()})),
			"locking, which is refused; and exclusion, where clients disagree about the nodes",
			"the same number of nodes, WithRestartGuard (--guard) and WithDriftFactor for all; to change them, stop all clients, DEL redlock:node on every node, and start")
	case noMarker:
		j.add(Warning, "guard", "it has granted no lock to a client with a guard, or has lost its data: "+begins, j.granting(),
			warm+"; on nodes that are new for certain, DEL redlock:quarantine ends it")
	case restarted:
		j.add(Warning, "guard", "it has restarted, or taken over from another server, and has granted no lock since: "+begins, j.granting(), warm)
	case quarantined:
		seen, remedy := fmt.Sprintf("in quarantine for another %v: it grants no locks, since it may have forgotten some", exact(m.Left)), "wait; on a node that is new for certain, DEL redlock:quarantine"
		if m.Left < 0 {
			seen, remedy = "in quarantine for ever: redlock:quarantine has no time to live", fmt.Sprintf("PEXPIRE redlock:quarantine %d", (j.Guard.Quarantine+time.Millisecond-1).Milliseconds())
		}
		j.add(Error, "guard", seen, j.granting(), remedy)
	}
}

// passedBy is about a client without a guard on a node with one.
func (j *judge) passedBy() {
	m := j.Marker
	if m.RunID == "" {
		return
	}
	severity, seen := Note, "others guard restarts here, with "+settingsOf(m)+"; this client does not, and gets past that"
	if m.Left != 0 {
		severity = Warning
		seen += ": it is granted locks while the node is in quarantine"
	}
	j.add(severity, "guard", seen, "exclusion, for locks that both take: after a restart this client is granted what the node forgot",
		"WithRestartGuard (--guard) as the others have it, for all clients that take the same locks")
}

// granting says what it means for locks that the guard keeps this node out.
func (j *judge) granting() string {
	open := 0
	for i := range j.all {
		if f := &j.all[i]; f.Err == nil && f.Cut == nil && (f.MarkerErr != nil || j.standing(f) == grants) {
			open++
		}
	}
	need := quorum.Majority(len(j.all))
	if open < need {
		return fmt.Sprintf("locking, which is impossible until quarantines are over: %d of %d nodes grant locks, and %d have to", open, len(j.all), need)
	}
	return fmt.Sprintf("locking: %d of %d nodes grant locks, and %d have to", open, len(j.all), need)
}

// settingsOf describes the settings of a marker, or quotes them if it cannot read them.
func settingsOf(m node.Marker) string {
	var nodes int
	var longest, quarantine int64
	_, err := fmt.Sscanf(m.Settings, "%d %d %d", &nodes, &longest, &quarantine)
	g := node.Guard{Nodes: nodes, Longest: time.Duration(longest) * time.Millisecond, Quarantine: time.Duration(quarantine) * time.Millisecond}
	if err != nil || g.Settings() != m.Settings {
		return fmt.Sprintf("settings %q", m.Settings)
	}
	return fmt.Sprintf("%d nodes, a longest TTL of %v and a quarantine of %v", g.Nodes, g.Longest, g.Quarantine)
}

// exact is a duration rounded as on the nodes.
func exact(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}
