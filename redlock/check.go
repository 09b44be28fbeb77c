package redlock

import (
	"context"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/diagnosis"
	"github.com/quorumlock/quorumlock/internal/fanout"
)

// A Severity says how bad a [Finding] is. A larger one is worse.
type Severity int

const (
	// SeverityNote: nothing to fix, or nothing that directly endangers locks.
	SeverityNote = Severity(diagnosis.Note)
	// SeverityWarning: an event that may yet come would endanger exclusion or performance,
	// or Check could not find out whether it would.
	SeverityWarning = Severity(diagnosis.Warning)
	// SeverityError: exclusion is in danger, or locks cannot be taken on this node.
	SeverityError = Severity(diagnosis.Error)
)

// String returns "note", "warning" or "error".
func (s Severity) String() string {
	switch s {
	case SeverityNote:
		return "note"
	case SeverityWarning:
		return "warning"
	case SeverityError:
		return "error"
	}
	return fmt.Sprintf("Severity(%d)", int(s))
}

// A Finding is something that [Locker.Check] found on one node, or on all. Its texts are
// for people and may change. They contain no password, and no key or value but those of
// the check.
type Finding struct {
	Severity Severity
	// Check is what was looked at. These words stay the same:
	//
	//	"reachable"    whether the node answers
	//	"role"         a master of its own: no replica, Sentinel or node of a cluster
	//	"distinct"     two nodes that are the same server
	//	"run id"       connections of one client that reach different servers
	//	"database"     the database that the connections are in
	//	"loading"      a node that is still loading its data
	//	"self-test"    a test lock that was refused, or that the server did not keep as asked
	//	"scripts"      whether the scripts that the options need can be run
	//	"pubsub"       whether the message of a release arrives
	//	"commands"     commands that the server lacks, or has under another name
	//	"rights"       what the user may do
	//	"guard"        nodes in the quarantine of [WithRestartGuard], and clients with another guard
	//	"even"         an even number of nodes
	//	"eviction", "persistence", "replication", "uptime", "memory", "clients", "clock", "latency", "version"
	//	"unknown"      what could not be found out
	//	"summary"      what is in order
	//
	// There may be others.
	Check     string
	Node      string // as the pool names it; "" if it is about all nodes
	Seen      string // what was found
	Endangers string // what may go wrong; "" if nothing
	Remedy    string // the command or setting that fixes it, "" if there is nothing to fix
}

// String is the finding in a line.
func (f Finding) String() string {
	where := "node " + f.Node
	if f.Node == "" {
		where = "all nodes"
	}
	text := fmt.Sprintf("%v: %s: %s: %s", f.Severity, where, f.Check, f.Seen)
	if f.Endangers != "" {
		text += "; endangers " + f.Endangers
	}
	if f.Remedy != "" {
		text += "; remedy: " + f.Remedy
	}
	return text
}

const (
	checkPeriod = time.Second             // over which clocks are watched
	checkBudget = 5500 * time.Millisecond // more, for all other questions to one node
	minPatience = 250 * time.Millisecond
	maxPatience = time.Second // or the node timeout, if that is longer
)

// Check diagnoses the nodes of this Locker: what endangers mutual exclusion or
// performance, with a remedy. It looks at the identity of each server, at how it keeps
// data, at its clock, and at the rights of the user. It judges by the TTL, node timeout,
// drift factor, prefix, WithFair, WithFencing and WithRestartGuard that were given to
// [New]. It returns the findings, the worst first, and a summary for each node. An
// unreachable node is a finding, and so is what Check could not find out.
//
// Check takes a little more than a second, in which it watches the clocks. Where nodes
// are slow it takes more: at most the longer of nine seconds, and one second plus four
// node timeouts. It asks a node one question at a time, and none after a question that
// was not answered in time. That time is four node timeouts. But it is at least 250 ms,
// and at most the longer of 1 s and one node timeout. An earlier deadline of ctx
// shortens all of that. To see whether all connections of a client reach the same
// server, Check uses up to four at once. A second Check of the Locker waits until the
// first has ended.
//
// On every node Check does what locks with these options do, under keys of its own, and
// looks at the keys afterwards. A lock is granted, and its value is there. It is refused
// to another value. It is extended, released, and gone. A waiter is notified. The keys
// begin with the prefix, "redlock-check:" and a random number. Check begins no quarantine
// of WithRestartGuard.
//
// The user needs no rights but those of locks. Check sees more with INFO, CONFIG GET,
// PUBSUB NUMSUB, TIME, CLIENT INFO, ACL WHOAMI and ACL DRYRUN, and GET and PTTL of the
// keys of WithRestartGuard. When Check returns no error, its keys are gone from all nodes
// that answer. On other nodes they expire within the longer of ten seconds and six node
// timeouts.
//
// Use Check when servers or settings have changed. It is no health check: an error about
// one master of three is no reason for a service to stop. A TryLock of a name of its own
// says whether a service can lock.
//
// The error matches ctx.Err() if ctx was cancelled, or if its deadline passed before
// the nodes could be asked, for instance behind another Check. It matches [ErrClosed]
// after [Locker.Close]. With an error there are no findings. Questions that were sent
// may still wait for an answer then. They end soon, and Close waits for them.
func (l *Locker) Check(ctx context.Context) ([]Finding, error) {
	ended := func() error {
		err := ctx.Err()
		if cause := context.Cause(ctx); cause != err {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		return fmt.Errorf("redlock: check: %w", err)
	}
	select {
	case l.checking <- struct{}{}: // one after the other: see [node.Node.Examine]
		defer func() { <-l.checking }()
	case <-l.closing:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return nil, ended()
	}
	if err := l.enter(); err != nil {
		return nil, fmt.Errorf("redlock: check: %w", err)
	}
	c := l.config
	patience := min(max(4*c.nodeTimeout, minPatience), max(maxPatience, c.nodeTimeout))
	examination := fanout.Examination{
		Prefix:   c.prefix,
		Patience: patience,
		Period:   checkPeriod,
		Budget:   checkPeriod + max(checkBudget, 3*patience),
		Fair:     c.fair, Fencing: c.fencing,
	}
	if at, ok := ctx.Deadline(); ok {
		// What is left afterwards is for cleaning up, and to say it.
		left := max(time.Until(at), 0)
		examination.Period = min(examination.Period, left/4)
		examination.Budget = min(examination.Budget, left/2)
		examination.Patience = min(examination.Patience, left/4)
	}
	facts := l.group.Examine(ctx, examination, l.leave)
	if facts == nil {
		return nil, ended()
	}
	judged := diagnosis.Judge(facts, diagnosis.Settings{
		TTL: c.ttl, NodeTimeout: c.nodeTimeout, Drift: c.drift, Prefix: c.prefix,
		Fair: c.fair, Fencing: c.fencing, Guard: l.group.Guard(),
	})
	found := make([]Finding, len(judged))
	for i, f := range judged {
		found[i] = Finding{Severity(f.Severity), f.Check, f.Node, f.Seen, f.Endangers, f.Remedy}
	}
	return found, nil
}
