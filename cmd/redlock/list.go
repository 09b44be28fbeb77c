package main

import (
	"context"
	"strings"

	"github.com/quorumlock/quorumlock/redlock"
)

type listCommand struct {
	onNodes
	JSON bool   `name:"json" help:"Write JSON."`
	Name string `arg:"" optional:"" name:"prefix" help:"How the names begin. Without it all locks are listed."`
}

// Help is the part of "redlock list --help" after the flags.
func (*listCommand) Help() string {
	return `Example:

  $ redlock list --node redis://r1 --node redis://r2 --node redis://r3 back
  NAME    HOLDER      FOR   NODES   WAIT
  backup  web-1:4711  7.9s  3 of 3  2

It scans all keys of all nodes at the same time, in steps that do not block the servers. Locks of other libraries are shown as "foreign holder #..." if their values look like those of locks. A holder needs a majority of the nodes; otherwise HOLDER is "nobody". It is "nobody can get it" if the keys of several holders leave no majority free. It is "unknown" if the answer depends on nodes that did not answer. Waiters are counted if they use --fair. The user needs the right +scan.

The names in JSON stay the same: locks, each with name, state, holder, nodes, total, ttl_ms, blocked_ms, waiting as for status, and failed, each with node and error.

Exit codes:

  0     a majority of the nodes answered; the others are named on stderr
  64    wrong flags or node URLs, or more than 100000 locks: give a longer prefix
  69    too few nodes answered`
}

// Run prints a table.
func (c *listCommand) Run(s *streams) error {
	return c.look(func(locker *redlock.Locker) error {
		found, err := locker.List(context.Background(), c.Name)
		if err != nil {
			return err
		}
		for _, f := range found.Failed {
			s.say.Printf("node %s is left out: %s", f.Node, strings.ReplaceAll(nodeText(f), "\n", "; "))
		}
		if c.JSON {
			return written(writeIndented(s.stdout, newList(found)))
		}
		return written(writeList(s.stdout, found))
	})
}
