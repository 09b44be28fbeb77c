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
	Force bool `help:"Confirm that the lock is deleted although its holder may be at work."`
	JSON  bool `name:"json" help:"Write JSON."`
}

// Help is the part of "redlock release --help" after the flags.
func (*releaseCommand) Help() string {
	return `Example:

  $ redlock release --force --node redis://r1 --node redis://r2 --node redis://r3 backup
  "backup" was held by web-1:4711 and is released: the key of web-1:4711 on 3 of 3 nodes
  its holder works on until it asks the nodes again, at its next renewal or at the end of its time

It looks at the keys of the lock and deletes the keys that it saw. It does not delete a newer key. Waiters are notified. It also deletes leftover keys on some of the nodes, which keep all clients from the lock. It does not stop the holder: do that first if two must not work at the same time.

The names in JSON stay the same: name, state, holder, total, ended with holder and nodes, failed with node and error, and error. A state is "released", "free" (there was no holder) or "unknown" (too few nodes answered, or confirmed the deletion). The holder is the one on a majority of the nodes, "" if there were only leftover keys. ended has the holders of deleted keys, each with the number of nodes. JSON is written with exit codes 0, 3 and 69.

Exit codes:

  0     the lock was deleted
  3     there was no holder
  64    wrong flags or node URLs, or no --force
  69    too few nodes answered, or confirmed it`
}

// Run deletes the lock and reports its holders.
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
