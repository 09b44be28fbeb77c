package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node"
)

// runID is about a client with connections to different servers.
func (j *judge) runID() {
	if n := len(j.Connections.RunIDs); n > 1 {
		j.add(Error, "run id", fmt.Sprintf("connections of this client reach %d different servers (they have different run ids)", n),
			"exclusion: a lock is taken on one of them, and looked for on another",
			"give the address of one master, not of a balancer or of a name for several; after a fail-over, check again when the old master is gone")
	}
}

// database is about the selected database of the connections.
func (j *judge) database() {
	c := &j.Connections
	list := func() string {
		slices.Sort(c.Databases)
		return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(c.Databases)), ", "), "[]")
	}
	switch {
	case len(c.Databases) > 1:
		j.add(Error, "database", "connections of this client are in different databases: "+list(),
			"exclusion: a lock is taken in one of them, and looked for in another",
			"give locks a client of their own, without SELECT on its connections")
	case len(c.Databases) == 0:
	case c.Named >= 0 && c.Databases[0] != c.Named:
		j.add(Error, "database", fmt.Sprintf("connections of this client are in database %d, and its name says %d", c.Databases[0], c.Named),
			"exclusion: clients that are in the other one do not see these locks",
			fmt.Sprintf("give locks a client of their own, with database %d in its options, without SELECT on its connections", c.Named))
	case c.Named < 0 && c.Databases[0] != 0:
		j.add(Note, "database", fmt.Sprintf("connections of this client are in database %d; whether its options say so is not known", c.Databases[0]), "", "")
	}
}

// even is about all nodes together.
func (j *judge) even() {
	n := len(j.all)
	if n < 2 || n%2 != 0 {
		return
	}
	j.found = append(j.found, Finding{Note, "even", "", fmt.Sprintf("there are %d nodes", n),
		fmt.Sprintf("locking, when nodes fail: %d nodes tolerate no more failures than %d would", n, n-1),
		"one node more, or one node less, for all clients at once"})
}

// commands is about commands that the server lacks or has renamed.
func (j *judge) commands() {
	names := make(map[node.Purpose][]string)
	for _, d := range j.Rights.Missing {
		if runsScripts(d.Name) && node.FormRefused(j.SelfTest.Err) {
			continue // scripts reports it
		}
		if d.Unknown && !slices.Contains(names[d.Purpose], d.Name) {
			names[d.Purpose] = append(names[d.Purpose], d.Name)
		}
	}
	asked := map[bool]Severity{false: Note, true: Error}
	report := func(n node.Purpose, s Severity, endangers string) {
		if names[n] == nil {
			return
		}
		j.add(s, "commands", fmt.Sprintf("it does not have %s, or has another name for it", strings.Join(names[n], ", ")), endangers,
			fmt.Sprintf("take rename-command %s out of its configuration file, and restart it", strings.Join(names[n], ", rename-command ")))
	}
	if j.renamed() && j.SelfTest.Option == "" {
		report(node.ToLock, Error, j.quorum())
	} else {
		report(node.ToLock, Note, "speed: locks are taken, extended or released in another way")
	}
	report(node.ToWake, Warning, "speed: waiters are not notified of releases, and retry after their delay")
	report(node.ToPing, Warning, pings)
	report(node.ToBound, Note, "speed, where a large text has the name of a lock: all of it is read")
	report(node.ToQueue, asked[j.Fair], "waiting with WithFair, which is refused, and so is RLock")
	report(node.ToShare, Note, sharing)
	report(node.ToFence, asked[j.Fencing], "locks with WithFencing, which are refused")
	report(node.ToGuard, asked[j.guarded()], "locks with WithRestartGuard, which are refused")
}

const sharing = "locks for reading (RLock), which are refused; and a Lock that meets readers takes them for other data"

const pings = "speed: subscriptions of waiters end after a second, and are made again"
