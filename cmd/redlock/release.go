package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/quorumlock/quorumlock/redlock"
)

type releaseCommand struct {
	target
	Force bool `help:"Yes, take it away from a holder that may be at work."`
	JSON  bool `name:"json" help:"Write JSON."`
}

// Help is what "redlock release --help" says besides the flags.
func (*releaseCommand) Help() string {
	return `Example:

  $ redlock release --force --node redis://r1 --node redis://r2 --node redis://r3 backup
  "backup" was held by web-1:4711 and is released: the key of web-1:4711 on 3 of 3 nodes
  its holder works on until it asks the nodes again, at its next renewal or at the end of its time

It looks who has the lock, and deletes what it saw and nothing newer. Those who wait are told. It also deletes keys that were left on some of the nodes and keep everybody from the lock. It does not stop the holder: do that first if two must not work at the same time.

The names in JSON stay the same: name, state, holder, total, ended with holder and nodes, failed with node and error, and error. A state is "released", "free" (nobody held it) or "unknown" (too few nodes answered, or confirmed it). The holder is the one that a majority had, "" if there were only keys that were left; ended says whose keys are gone, and on how many nodes. JSON is written with exit codes 0, 3 and 69.

Exit codes:

  0     the lock was taken away
  3     nobody held it
  64    wrong flags or node URLs, or no --force
  69    too few nodes answered, or confirmed it`
}

// Run says what it ended.
func (c *releaseCommand) Run(s *streams) error {
	if !c.Force {
		return endWith(exitUsage, errors.New("this takes the lock away from a holder that may be at work: give --force if you mean that"))
	}
	return c.look(func(locker *redlock.Locker) error {
		ended, err := locker.ForceRelease(context.Background(), c.Name)
		if failed := c.write(s, ended, err); failed != nil {
			return errors.Join(err, written(failed))
		}
		if err == nil {
			for _, f := range ended.Failed {
				s.say.Printf("release: node %s: a key may be left there until it expires: %s", f.Node, strings.ReplaceAll(nodeText(f), "\n", "; "))
			}
		}
		return err
	})
}

// write writes what was ended, if anything is known.
func (c *releaseCommand) write(s *streams, ended redlock.Forced, err error) error {
	switch {
	case ended.Name == "":
		return nil
	case c.JSON:
		return writeIndented(s.stdout, newRelease(ended, err))
	case len(ended.Holders) == 0:
		return nil
	}
	text := ended.String() + "\n"
	if ended.Held != "" {
		text += "its holder works on until it asks the nodes again, at its next renewal or at the end of its time\n"
	}
	_, err = fmt.Fprint(s.stdout, text)
	return err
}
