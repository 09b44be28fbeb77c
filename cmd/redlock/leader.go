package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/redlock"
)

type leaderCommand struct {
	onNodes
	Name  string `arg:"" help:"The name of the election."`
	Watch bool   `short:"w" help:"Print each change as well, until interrupted."`
	JSON  bool   `name:"json" help:"Write JSON; with --watch a line for each change."`
}

// Help is the part of "redlock leader --help" after the flags.
func (*leaderCommand) Help() string {
	return `Example:

  $ redlock leader --node redis://r1 --node redis://r2 --node redis://r3 --watch web
  15:04:05.123  "web" is led by web-1:4711 with "10.0.0.5", term 1764496814123456
  15:04:11.007  nobody leads "web"
  15:04:11.011  "web" is led by web-2:4712 with "10.0.0.7", term 1764496851004211

A majority of the nodes has confirmed what is shown. Each later line of --watch is a change: another leader, another value of it, that nobody leads, or that too few nodes answer to say so ("unknown"). The end of a leader that died is shown when its TTL is over. If changes are faster than the output, only the last one is shown.

Values are shown in quotes, as in Go. In JSON a value is text, with encoding "utf-8". If it is not UTF-8, or has control characters that JSON does not escape, it is in base64, with encoding "base64". The names in JSON stay the same: name, state ("leads", "none" or "unknown"), holder, term, seq (how many values this leader has proclaimed before), value, encoding, confirmed, error; with --watch also time (RFC 3339). confirmed is false if nodes differ, and refuse this user the right to write: a later reader may see an earlier value then.

Exit codes:

  0     a process leads; with --watch: SIGINT or SIGTERM ended it
  3     nobody leads
  64    wrong flags or node URLs
  69    too few nodes answered: it is unknown who leads
  71    the output cannot be written`
}

// Run prints the leader.
func (c *leaderCommand) Run(s *streams) error {
	return c.look(func(locker *redlock.Locker) error {
		el, err := election.New(locker, c.Name)
		switch {
		case err != nil:
			return err
		case c.Watch:
			return c.watch(el, s.stdout)
		}
		change := election.Change{Kind: election.Leads}
		change.Leader, err = el.Leader(context.Background())
		switch {
		case errors.Is(err, election.ErrNoLeader):
			change.Kind, err = election.None, endWith(exitNotHeld, nil)
		case err != nil:
			change.Kind, change.Err = election.Unknown, err
		}
		if change.Kind == election.Unknown && !c.JSON {
			return err
		}
		if failed := written(c.write(s.stdout, change)); failed != nil {
			return errors.Join(err, failed)
		}
		return err
	})
}

func (c *leaderCommand) write(w io.Writer, change election.Change) error {
	if c.JSON {
		return writeIndented(w, newLeader(c.Name, change))
	}
	_, err := fmt.Fprintln(w, leaderText(c.Name, change))
	return err
}

// watch prints each change until a signal comes.
func (c *leaderCommand) watch(el *election.Election, w io.Writer) error {
	return follow(w, func(ctx context.Context) (<-chan election.Change, error) { return el.Observe(ctx) },
		func(change election.Change, at time.Time) any {
			change.Err = unknownWords(change.Err, "who leads")
			if c.JSON {
				return jsonTimedLeader{stamped(at), newLeader(c.Name, change)}
			}
			return leaderText(c.Name, change)
		})
}

// leaderText is a change for people.
func leaderText(name string, change election.Change) string {
	switch change.Kind {
	case election.None:
		return fmt.Sprintf("nobody leads %q", name)
	case election.Unknown:
		return "unknown: " + errorText(change.Err)
	}
	l := change.Leader
	return fmt.Sprintf("%q is led by %s with %q, term %d%s", name, l.Holder, l.Value, l.Term, unconfirmed(l.Confirmed))
}

// unconfirmed warns of a value that could not be written back.
func unconfirmed(confirmed bool) string {
	if confirmed {
		return ""
	}
	return "; not confirmed: the nodes differ, and refuse this user the right to write"
}

type jsonLeader struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Holder string `json:"holder"`
	Term   uint64 `json:"term"`
	Seq    uint64 `json:"seq"`
	jsonValue
	Confirmed bool   `json:"confirmed"`
	Error     string `json:"error"`
}

type jsonTimedLeader struct {
	Time string `json:"time"`
	jsonLeader
}

func newLeader(name string, change election.Change) jsonLeader {
	l := change.Leader
	return jsonLeader{name, change.Kind.String(), l.Holder, l.Term, l.Seq, newValue(l.Value), l.Confirmed, errorText(change.Err)}
}
