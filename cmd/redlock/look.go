package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// target is which lock to look at.
type target struct {
	Node    []string      `short:"n" sep:"none" placeholder:"URL" help:"A Redis master, once per master, as for run. Without it the URLs come from REDLOCK_NODES."`
	Timeout time.Duration `name:"node-timeout" default:"1s" help:"How long to wait for the answer of one node."`
	Prefix  string        `help:"What is put before the name to make the key in Redis. Default: nothing."`
	Name    string        `arg:"" help:"The name of the lock."`
}

// look opens a Locker that only looks.
func (t *target) look(do func(*redlock.Locker) error) error {
	nodes, err := openNodes(t.Node, "")
	if err != nil {
		return err
	}
	defer nodes.close()
	// The TTL is of no concern but bounds the timeout.
	locker, err := redlock.New(nodes.pools, redlock.WithNodeTimeout(t.Timeout), redlock.WithTTL(max(2*t.Timeout, 10*time.Millisecond)), redlock.WithPrefix(t.Prefix))
	if err != nil {
		return endWith(exitUsage, optionWords(err))
	}
	err = do(locker)
	ctx, cancel := context.WithTimeout(context.Background(), t.Timeout)
	defer cancel()
	_ = locker.Close(ctx) // there is nothing to settle
	return err
}

type statusCommand struct {
	target
}

// Help is what "redlock status --help" says besides the flags.
func (*statusCommand) Help() string {
	return `Example:

  $ redlock status --node redis://r1 --node redis://r2 --node redis://r3 backup
  "backup" is held by web-1:4711 on 3 of 3 nodes, for 7.9s if it is not extended; 2 wait

It is counted on how many nodes the holder was found by the time that a majority agreed. Those who wait are counted if they use --fair.

Exit codes:

  0     a majority of the nodes answered
  64    wrong flags or node URLs
  69    too few nodes answered`
}

// Run prints one line.
func (c *statusCommand) Run(s *streams) error {
	return c.look(func(locker *redlock.Locker) error {
		state, err := locker.Inspect(context.Background(), c.Name)
		if err != nil {
			return c.failed(err)
		}
		_, err = fmt.Fprintln(s.stdout, state)
		return err
	})
}

// failed gives an error its exit code.
func (t *target) failed(err error) error {
	if errors.Is(err, redlock.ErrNoQuorum) {
		return endWith(exitNoQuorum, err)
	}
	return endWith(exitUsage, err) // the name
}

type watchCommand struct {
	target
}

// Help is what "redlock watch --help" says besides the flags.
func (*watchCommand) Help() string {
	return `Example:

  $ redlock watch --node redis://r1 --node redis://r2 --node redis://r3 backup
  15:04:05.123  acquired: "backup" is held by web-1:4711 on 2 of 3 nodes, for 8s if it is not extended; 0 wait
  15:04:11.007  released: nobody holds "backup": it is free on 2 of 3 nodes; 0 wait

The first line says how it is. Then there is a line when the lock was acquired by somebody else, released, has expired, or when no majority of the nodes answers ("unknown"). A release is told at once, the rest within a quarter of a second. Changes that follow each other faster than they are printed are left out, but for the last.

It ends with SIGINT or SIGTERM, with exit code 0.`
}

// Run prints a line for every change.
func (c *watchCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return c.look(func(locker *redlock.Locker) error {
		changes, err := locker.Watch(ctx, c.Name)
		if err != nil {
			return c.failed(err)
		}
		for change := range changes {
			if _, err := fmt.Fprintf(s.stdout, "%s  %v\n", time.Now().Format("15:04:05.000"), change); err != nil {
				return err // nobody reads any more
			}
		}
		return nil
	})
}
