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
	// SeverityNote: nothing to mend, or nothing that endangers locks by itself.
	SeverityNote = Severity(diagnosis.Note)
	// SeverityWarning: exclusion or speed depend on something that may happen, or it
	// could not be found out whether they do.
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

// A Finding is something that [Locker.Check] found on one node. Its texts are for
// people, and may change; they contain no password, and nothing of keys that are not
// the check's own.
type Finding struct {
	Severity Severity
	// Check is what was looked at. These words stay the same:
	//
	//	"reachable"    whether the node answers
	//	"role"         a master of its own: no replica, Sentinel or node of a cluster
	//	"distinct"     the same server twice
	//	"run id"       connections of one client that reach different servers
	//	"database"     the database that the connections are in
	//	"loading"      whether it has its data
	//	"trial"        a lock for trial: refused, or the server did otherwise than asked
	//	"scripts"      whether the scripts of the options can be run
	//	"pubsub"       whether a message that a release publishes arrives
	//	"commands"     commands that the server lacks, or has under another name
	//	"rights"       what the user may do
	//	"guard"        a node that [WithRestartGuard] keeps out, and clients that disagree about it
	//	"even"         an even number of nodes
	//	"eviction", "persistence", "replication", "uptime", "memory", "clients", "clock", "latency", "version"
	//	"unknown"      what could not be found out
	//	"summary"      what is as it should be
	//
	// There may be others.
	Check     string
	Node      string // as the pool names it; "" if it is about all nodes
	Seen      string
	Endangers string // "" if it does not endanger anything
	Remedy    string // the command or setting that mends it, "" if there is nothing to mend
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

// Check looks for what could take exclusion or speed away on the nodes of this Locker:
// who they are, how they keep data, how their clocks run, what the user may do. It judges
// by the TTL, node timeout, drift factor, prefix, and of WithFair, WithFencing and
// WithRestartGuard those that were given to [New]. It returns what it found, the worst
// first, and a summary for each node. A node that cannot be reached is a finding, and so
// is what could not be found out.
//
// It takes a little more than a second, in which it watches clocks, and never more than
// eight, or four node timeouts more than that second; checks of one Locker are made one
// after the other. A node that hangs costs less: one
// question is put after the other, and none after one that was not answered within four
// node timeouts (250 ms at least, 1 s or one node timeout at most). If ctx has a deadline
// before that, it watches and asks for less time, so that there is a result before. To see
// whether all connections of a client reach the same server, it asks on up to four at once.
//
// On every node it does what locks with these options do, under keys of its own, and looks
// afterwards at what is there: a lock is granted and its value is there, refused to another
// value, extended, released, and gone; a waiter is told. The keys begin with the prefix
// and "redlock-check:" and a random number, and nobody waits for them. It begins no
// quarantine of WithRestartGuard. The user
// needs no rights but those of locks; with INFO, CONFIG GET, PUBSUB NUMSUB, TIME, CLIENT
// INFO, ACL WHOAMI and ACL DRYRUN, and GET and PTTL of the keys of WithRestartGuard, it
// sees more.
// When Check returns without an error, its keys are gone from all nodes that answer, and
// elsewhere go by themselves within ten seconds, or six node timeouts.
//
// It is for when servers or settings have changed. One master of three that is away is an
// error that somebody has to mend, and no reason for a service to stop: whether it is
// ready to lock, a TryLock of a name of its own says.
//
// The error matches ctx.Err() or [ErrClosed]; then there are no findings. What is
// still with a client then ends soon: Close waits for it.
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
	exam := fanout.Exam{
		Prefix:   c.prefix,
		Patience: patience,
		Period:   checkPeriod,
		Budget:   checkPeriod + max(checkBudget, 3*patience),
		Fair:     c.fair, Fencing: c.fencing,
	}
	if at, ok := ctx.Deadline(); ok {
		// What is left afterwards is for cleaning up, and to say it.
		left := max(time.Until(at), 0)
		exam.Period = min(exam.Period, left/4)
		exam.Budget = min(exam.Budget, left/2)
		exam.Patience = min(exam.Patience, left/4)
	}
	facts := l.group.Examine(ctx, exam, l.leave)
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
