package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// onNodes are the flags that name the nodes.
type onNodes struct {
	masters
	Timeout time.Duration `name:"node-timeout" default:"1s" help:"How long to wait for the answer of one node."`
	Prefix  string        `help:"The key in Redis is this prefix and the name. Default: no prefix."`
}

// target are the flags that name a lock.
type target struct {
	onNodes
	Name string `arg:"" help:"The name of the lock."`
}

// look opens a Locker that takes no locks. Errors get their exit codes.
func (t *onNodes) look(do func(*redlock.Locker) error) error { return coded(t.with(do)) }

func (t *onNodes) with(do func(*redlock.Locker) error) error {
	nodes, err := t.open("")
	if err != nil {
		return err
	}
	defer nodes.close()
	// The TTL does not matter here, but must be larger than the timeout.
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

// coded gives an error its exit code. It removes the library's name of the operation, since the
// message begins with the name of the command.
func coded(err error) error {
	if err == nil {
		return nil
	}
	code := exitUsage // the name, or the prefix
	var end *ending
	switch {
	case errors.As(err, &end) && end.err == nil:
		return err
	case end != nil:
		code = end.code
	case errors.Is(err, redlock.ErrNoQuorum):
		code = exitNoQuorum
	case errors.Is(err, redlock.ErrNotHeld):
		code = exitNotHeld
	case errors.Is(err, errOutput):
		code = exitSystem
	}
	text := trimmed(err)
	for _, op := range []string{"inspect", "watch", "list", "force release", "read", "read leader of", "publish"} {
		if rest, found := strings.CutPrefix(text, op+" "); found && strings.HasPrefix(rest, `"`) {
			text = rest
		}
	}
	return endWith(code, errors.New(text))
}

// errOutput: the reader of stdout is gone, or writing failed.
var errOutput = errors.New("output")

// written returns an error of writing, marked as such.
func written(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errOutput, err)
}

type statusCommand struct {
	target
	JSON  bool `name:"json" help:"Write JSON."`
	Quiet bool `short:"q" help:"Write nothing: the exit code says whether the lock has a holder."`
}

// Help is the part of "redlock status --help" after the flags.
func (*statusCommand) Help() string {
	return `Example:

  $ redlock status --node redis://r1 --node redis://r2 --node redis://r3 backup
  "backup" is held by web-1:4711 on 2 of 3 nodes, for 7.9s if it is not extended; 2 wait
    r1:6379  held by web-1:4711, for 7.9s
    r2:6379  held by web-1:4711, for 7.9s
    r3:6379  unknown: no answer within the node timeout

All nodes are asked at the same time. It takes one round trip, or the node timeout if a node does not answer. If several holders have keys and none has a majority, the first line says that nobody can get the lock, and until when. Waiters are counted if they use --fair.

The names in JSON stay the same: name, state, holder, nodes, total, ttl_ms, blocked_ms, waiting, error, and by_node with node, state, holder, ttl_ms, error. A state is "held", "free", "blocked" (it has no holder, and no client can get it) or "unknown". Times are in milliseconds, -1 for ever, 0 if there is none. With state "free" or "blocked", nodes is how many are free.

Exit codes:

  0     a majority of the nodes answered; with --quiet: the lock has a holder
  3     with --quiet: the lock has no holder
  64    wrong flags or node URLs
  69    too few nodes answered`
}

// Validate is called by the parser.
func (c *statusCommand) Validate() error {
	if c.JSON && c.Quiet {
		return errors.New("--quiet writes nothing: leave --json out")
	}
	return nil
}

// Run prints a line, and one for each node.
func (c *statusCommand) Run(s *streams) error {
	return c.look(func(locker *redlock.Locker) error {
		state, nodes, err := locker.InspectNodes(context.Background(), c.Name)
		if nodes == nil {
			return err
		}
		switch {
		case c.Quiet && err == nil && state.Holder == "":
			return endWith(exitNotHeld, nil)
		case c.Quiet:
			return err
		case c.JSON:
			return errors.Join(err, written(writeIndented(s.stdout, newStatus(c.Name, state, nodes, err))))
		}
		return errors.Join(err, written(writeStatus(s.stdout, c.Name, state, nodes, err)))
	})
}

type watchCommand struct {
	target
	JSON bool `name:"json" help:"Write a line of JSON for each change."`
}

// Help is the part of "redlock watch --help" after the flags.
func (*watchCommand) Help() string {
	return `Example:

  $ redlock watch --node redis://r1 --node redis://r2 --node redis://r3 backup
  15:04:05.123  acquired: "backup" is held by web-1:4711 on 2 of 3 nodes, for 8s if it is not extended; 0 wait
  15:04:11.007  released: nobody holds "backup": it is free on 2 of 3 nodes; 0 wait

The first line shows the present state. Each later line is a change: the lock was acquired by another holder, was released, has expired, or no majority of the nodes answers ("unknown"). A release is shown at once, other changes within a quarter of a second. If changes are faster than the output, only the last one is shown.

The names in JSON stay the same: time (RFC 3339), change ("acquired", "released", "expired" or "unknown"), error, and those of status without by_node.

It ends with SIGINT or SIGTERM, with exit code 0. Other exit codes: 64 for wrong flags or node URLs, 71 if its output cannot be written.`
}

// Run prints a line for every change.
func (c *watchCommand) Run(s *streams) error {
	return c.look(func(locker *redlock.Locker) error {
		return follow(s.stdout, func(ctx context.Context) (<-chan redlock.Change, error) { return locker.Watch(ctx, c.Name) },
			func(change redlock.Change, at time.Time) any {
				change.Err = unknownWords(change.Err, "who holds")
				if c.JSON {
					return newChange(c.Name, at, change)
				}
				return change.String()
			})
	})
}

// follow writes a line for each change until a signal comes: a text with the time before it, or
// else JSON.
func follow[C any](w io.Writer, watch func(context.Context) (<-chan C, error), line func(change C, at time.Time) any) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	changes, err := watch(ctx)
	if err != nil {
		return err
	}
	for change := range changes {
		now := time.Now()
		switch line := line(change, now).(type) {
		case string:
			_, err = fmt.Fprintf(w, "%s  %s\n", now.Format("15:04:05.000"), line)
		default:
			err = writeLine(w, line)
		}
		if err != nil {
			return written(err)
		}
	}
	return nil
}
