package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node"
)

// selfTest is about the test locks.
func (j *judge) selfTest() {
	t := &j.SelfTest
	switch {
	case t.Wrong != "":
		j.add(Error, "self-test", fmt.Sprintf("a test lock%s went wrong when it was asked to %v: %s", with(t.Option), t.Verb, t.Wrong),
			"exclusion: this node does not do what it says about locks",
			"give the address of a server that carries out SET NX GET PX and scripts in full, without a proxy that changes them: Redis 6.2 or later, or Valkey")
	case t.Err == nil, j.Cut != nil, mayNot(t.Err):
		// reported elsewhere, or in order
	case node.FormRefused(t.Err), j.renamed():
		// scripts or commands reports it
	default:
		j.add(Error, "self-test", fmt.Sprintf("a test lock%s failed to %v: %v", with(t.Option), t.Verb, t.Err), j.quorum(),
			cmp.Or(node.Remedy(t.Err), "see what the server says about it"))
	}
}

func with(option string) string {
	if option == "" {
		return ""
	}
	return " " + strings.Replace(option, "With", "with With", 1)
}

// scripts is about servers, services and proxies that refuse scripts.
func (j *judge) scripts() {
	t := &j.SelfTest
	switch {
	case j.Cut != nil, j.renamed():
	case t.Err != nil && !mayNot(t.Err) && node.FormRefused(t.Err):
		endangers := j.quorum()
		if t.Option != "" {
			endangers = "locks with " + t.Option + ", which are refused"
		}
		j.add(Error, "scripts", fmt.Sprintf("a test lock%s failed to %v: %v", with(t.Option), t.Verb, t.Err), endangers,
			cmp.Or(node.Remedy(t.Err), "see what the server says about it"))
	case t.Simple == "" || t.Err != nil || t.Wrong != "" || j.mayNotRun():
		// rights reports it, or it is in order
	case j.guarded() && !t.Guarded && t.Simple != "a shorter script":
		j.add(Error, "scripts", "it refuses scripts: locks are released by "+t.Simple, "locks with WithRestartGuard, which are refused",
			"allow EVAL and EVALSHA, with all keys in KEYS, on this server and on a proxy before it")
	case !j.lacks(node.ToWake):
		j.add(Warning, "scripts", "it refuses the script that notifies waiters of a release: locks are released by "+t.Simple,
			"speed: waiters are not notified of releases, and retry after their delay", "allow EVAL and EVALSHA, with all keys in KEYS, on this server and on a proxy before it")
	}
}

// renamed reports whether the self-test failed at a command that the server lacks, other than
// those that run scripts.
func (j *judge) renamed() bool {
	return j.SelfTest.Err != nil && strings.Contains(strings.ToLower(j.SelfTest.Err.Error()), "unknown") &&
		slices.ContainsFunc(j.Rights.Missing, func(d node.MissingRight) bool {
			return d.Purpose == j.SelfTest.Purpose() && d.Unknown && !runsScripts(d.Name)
		})
}

func runsScripts(command string) bool { return command == "EVAL" || command == "EVALSHA" }

// mayNotRun reports whether the user may not run a script by its text, and so none.
func (j *judge) mayNotRun() bool {
	return slices.ContainsFunc(j.Rights.Missing, func(d node.MissingRight) bool { return d.Name == "EVAL" && !d.Unknown })
}

// lacks reports whether the user lacks a right, or the server a command.
func (j *judge) lacks(n node.Purpose) bool {
	return slices.ContainsFunc(j.Rights.Missing, func(d node.MissingRight) bool { return d.Purpose == n })
}

// pubsub is about the message that a release publishes for waiters.
func (j *judge) pubsub() {
	w := &j.WakeUp
	const speed = "speed: waiters are not notified of releases, and retry after their delay"
	switch {
	case j.Cut != nil, j.lacks(node.ToWake), j.Fair && j.lacks(node.ToQueue), mayNot(w.Err):
		return // reported elsewhere
	case w.Err != nil:
		j.add(Warning, "pubsub", fmt.Sprintf("it cannot be subscribed to: %v", w.Err), speed,
			cmp.Or(node.Advice(w.Err), "let this client subscribe: it needs a connection of its own for that"))
	case w.Tried && !w.Received:
		j.add(Warning, "pubsub", fmt.Sprintf("a message that was published there did not arrive within %v", short(w.Waited)), speed,
			"let pub/sub through: give the address of the server itself, not of a proxy or a balancer before it")
	}
}
