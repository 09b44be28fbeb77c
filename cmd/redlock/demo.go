package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/cmd/redlock/internal/child"
	"github.com/quorumlock/quorumlock/cmd/redlock/internal/demo"
)

type demoCommand struct {
	Duration time.Duration `default:"25s" help:"The length of the part about the lock: 12s to 45s. The election takes up to 10s more."`
	Plain    bool          `help:"Write lines instead of drawing. Default if stdout is not a terminal."`
	Sabotage bool          `hidden:"" help:"Make nodes forget the lock behind the holder's back, so that two hold it."`
}

// Help is the part of "redlock demo --help" after the flags.
func (*demoCommand) Help() string {
	return `Example:

  redlock demo

Five masters in memory, and six workers that want one lock. Nodes are stopped, frozen and restarted. Twice so many of them fail that the holder loses the lock. You see the holder, for how long it certainly holds the lock, and how many nodes agree. A referee checks that two workers never hold it at the same time.

Then three processes campaign in an election. The leader is killed, the next one takes over with the last value that the first one has proclaimed, and resigns. An observer prints each change.

NO_COLOR turns colours off.

Exit codes:

  0     no two workers held the lock at the same time, and each leader found the last value
  1     two workers held the lock, or led, at the same time, or a leader did not find the last value
  64    wrong flags
  71    the masters could not be started
  130   interrupted (128+n: by signal n)`
}

// Validate is called by the parser.
func (d *demoCommand) Validate() error {
	if d.Duration < demo.MinLength || d.Duration > demo.MaxLength {
		return fmt.Errorf("--duration: must be %v to %v", demo.MinLength, demo.MaxLength)
	}
	return nil
}

var errNoLock = errors.New("no lock was granted: this machine seems too busy; try a longer --duration")

// Run shows the demo, and the summary also if it was interrupted.
func (d *demoCommand) Run(s *streams) error {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	code := make(chan int, 1)
	go func() { // ends with ctx
		select {
		case sig := <-interrupts:
			code <- exitSignal + child.Number(sig)
			cancel()
		case <-ctx.Done():
			code <- 0
		}
	}()

	run, err := demo.New(d.Duration, d.Sabotage)
	if err != nil {
		return endWith(exitSystem, err)
	}
	summary, err := run.Run(ctx, s.stdout, d.Plain)
	if err != nil {
		return endWith(exitSystem, err)
	}
	summary.Write(s.stdout)
	cancel()
	interrupted := <-code
	switch {
	case summary.Overlaps+summary.Two+summary.Forgotten > 0:
		return endWith(exitTwoHolders, nil)
	case interrupted > 0:
		return endWith(interrupted, nil)
	case summary.Granted == 0:
		return endWith(exitSystem, errNoLock)
	}
	return nil
}

// candidateCommand is a process of the demo, which starts it.
type candidateCommand struct {
	Name  string   `arg:""`
	Addrs []string `arg:""`
}

// Run campaigns until the standard input ends.
func (c *candidateCommand) Run(s *streams) error {
	if err := demo.Candidate(c.Addrs, c.Name, os.Stdin, s.stdout); err != nil {
		return endWith(exitSystem, err)
	}
	return nil
}
