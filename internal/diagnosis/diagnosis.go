// Package diagnosis turns facts about nodes into findings about locks. It is pure: no I/O, no
// goroutine, no clock.
package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// Severity is how serious a finding is.
type Severity int

const (
	Note    Severity = iota // nothing to fix, or nothing that matters now
	Warning                 // a possible event endangers exclusion or speed
	Error                   // exclusion is in danger, or this node cannot be locked on
)

// A Finding is one thing that was found on one node.
type Finding struct {
	Severity  Severity
	Check     string // the name of the check, which stays the same
	Node      string // empty if it is about all nodes
	Seen      string
	Endangers string // empty if it endangers nothing
	Remedy    string // empty if there is nothing to fix
}

// Settings are the settings of the locks.
type Settings struct {
	TTL         time.Duration
	NodeTimeout time.Duration
	Drift       float64    // how much clocks may run fast or slow, as a fraction
	Prefix      string     // of keys
	Fair        bool       // locks wait with WithFair
	Fencing     bool       // locks have tokens, WithFencing
	Guard       node.Guard // WithRestartGuard
}

func (s Settings) guarded() bool { return s.Guard != node.Guard{} }

// Judge returns the findings about all nodes: the most serious first, and then in the order of the
// nodes.
func Judge(all []node.Facts, s Settings) []Finding {
	j := &judge{Settings: s, all: all}
	for i := range all {
		j.facts = &all[i]
		if j.Err != nil {
			j.unreachable()
			continue
		}
		if j.Cut != nil {
			j.add(Error, "reachable", fmt.Sprintf("it stopped answering while it was asked, so not all is known: %v", j.Cut), j.quorum(),
				cmp.Or(node.Remedy(j.Cut), "look at its log and its load, and check again"))
		}
		j.role()
		j.distinct(i)
		j.loading()
		j.runID()
		j.database()
		j.selfTest()
		j.scripts()
		j.pubsub()
		j.commands()
		j.rights()
		j.guard()
		j.eviction()
		j.persistence()
		j.replication()
		j.uptime()
		j.limits()
		j.clock(i)
		j.latency()
		j.version()
		j.unknown()
		j.summary()
	}
	j.even()
	slices.SortStableFunc(j.found, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	return j.found
}

// facts are the facts about one node.
type facts = node.Facts

// A judge goes from node to node.
type judge struct {
	Settings
	all []node.Facts
	*facts
	found []Finding
}

func (j *judge) add(s Severity, check, seen, endangers, remedy string) {
	j.found = append(j.found, Finding{s, check, j.Node, seen, endangers, remedy})
}

// quorum says what it means for locks that this node does not grant.
func (j *judge) quorum() string {
	works := 0
	for _, f := range j.all {
		if f.Err == nil && f.Cut == nil {
			works++
		}
	}
	need := quorum.Majority(len(j.all))
	if works < need {
		return fmt.Sprintf("locking, which is impossible now: %d of %d nodes answer, and %d have to grant a lock", works, len(j.all), need)
	}
	return fmt.Sprintf("locking: this node grants nothing; %d of %d answer, and %d have to grant a lock", works, len(j.all), need)
}

func (j *judge) unreachable() {
	j.add(Error, "reachable", fmt.Sprintf("it cannot be asked anything: %v", j.Err), j.quorum(),
		cmp.Or(node.Advice(j.Err), "see what the client says about it"))
}

// mayNot reports whether an error is about rights.
func mayNot(err error) bool {
	return err != nil && slices.ContainsFunc([]string{"NOPERM", "ACL failure", "user executing the script can't"}, func(text string) bool {
		return strings.Contains(err.Error(), text)
	})
}

// unknown reports facts that could not be found out.
func (j *judge) unknown() {
	severity := Note
	var gaps, needs []string
	gap := func(err error, what, command, right string) {
		if err != nil && j.Cut == nil {
			gaps = append(gaps, fmt.Sprintf("%s (%s: %v)", what, command, err))
			needs = append(needs, right)
		}
	}
	if gap(j.ServerErr, "whether it is a master, evicts keys, keeps its data, started just now, or is another node once more", "INFO", "+info"); gaps != nil {
		severity = Warning
	}
	gap(j.ConfigErr, "how its data is kept", "CONFIG GET", "+config|get")
	gap(j.SentinelsErr, "whether sentinels watch it", "PUBSUB NUMSUB", "+pubsub|numsub")
	gap(j.ClockErr, "how its clock runs", "TIME", "+time")
	gap(j.Connections.Err, "which database its connections are in", "CLIENT INFO", "+client|info")
	if !j.guarded() || !mayNot(j.MarkerErr) { // otherwise rights reports it
		right := "%R~redlock:* +get +pttl"
		if j.Server.Major >= 0 && j.Server.Major < 7 {
			right = "~redlock:* +get +pttl"
		}
		gap(j.MarkerErr, "whether others guard restarts", "GET redlock:node, PTTL redlock:quarantine", right)
	}
	if len(j.Rights.Untried) > 0 {
		gaps = append(gaps, "whether WithFair may use "+strings.Join(j.Rights.Untried, ", "))
		needs = append(needs, "+acl|whoami", "+acl|dryrun")
	}
	if gaps == nil {
		return
	}
	j.add(severity, "unknown", "it could not be found out "+strings.Join(gaps, "; "), "nothing directly; but a fault that cannot be seen is not found before it happens",
		fmt.Sprintf("check as an administrator, or ACL SETUSER %s %s", j.user(), strings.Join(needs, " ")))
}

// summary reports facts that are in order.
func (j *judge) summary() {
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	s := j.Server
	if s.Version != "" {
		say("version %s", s.Version)
	}
	if s.Role != "" {
		say("role %s", s.Role)
	}
	if s.Uptime >= 0 {
		say("up %v", s.Uptime)
	}
	if j.SelfTest.Skipped != "" {
		say("no test lock, since %s", j.SelfTest.Skipped)
	} else if j.SelfTest.Err == nil && j.SelfTest.Wrong == "" && j.Cut == nil {
		form, release := "SET NX GET", "scripts"
		if j.NativeRefused || j.guarded() || j.Fencing {
			form = "a script"
		}
		if j.SelfTest.Simple != "" {
			release = j.SelfTest.Simple
		}
		say("a test lock was taken by %s, extended and released by %s, and found to be there and gone", form, release)
		if j.WakeUp.Received {
			say("a waiter was notified")
		}
	}
	if db := j.Connections.Databases; len(db) == 1 {
		say("database %d", db[0])
	}
	if trips := roundTrips(j.Samples); trips != nil {
		say("round trip %v, at most %v", short(trips[len(trips)/2]), short(trips[len(trips)-1]))
	}
	if low, high, ok := rate(j.Samples); ok {
		say("clock rate %.4f to %.4f", low, high)
	}
	j.add(Note, "summary", strings.Join(parts, "; "), "", "")
}

// short is a duration in three digits or so.
func short(d time.Duration) time.Duration {
	for unit := time.Microsecond; unit <= time.Second; unit *= 10 {
		if d < 100*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}
