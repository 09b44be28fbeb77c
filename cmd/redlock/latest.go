package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/redlock"
)

type latestCommand struct {
	onNodes
	Path  string `arg:"" help:"The path."`
	Watch bool   `short:"w" xor:"raw" help:"Print each change as well, until interrupted."`
	JSON  bool   `name:"json" xor:"form" help:"Write JSON; with --watch a line for each change."`
	Raw   bool   `xor:"form,raw" help:"Write the bytes of the value and nothing else, to a pipe or a file."`
}

// Help is the part of "redlock latest --help" after the flags.
func (*latestCommand) Help() string {
	return `Example:

  $ redlock latest --node redis://r1 --node redis://r2 --node redis://r3 --watch config/limits
  15:04:05.123  "config/limits" is "rate=100", version 1764496814123456.0, kept for 23h59m48s
  15:04:11.007  "config/limits" is "rate=250", version 1764496850981732.0, kept for 24h0m0s

A majority of the nodes has what is shown. If some nodes had forgotten the value, or were out of reach when it was published, they are named, and the value is stored there again. Each later line of --watch is a change: another value, that it has expired, or that too few nodes answer ("unknown"). If changes are faster than the output, only the last one is shown.

Values are shown in quotes, as in Go; --raw writes them as they are. In JSON a value is text, with encoding "utf-8". If it is not UTF-8, or has control characters that JSON does not escape, it is in base64, with encoding "base64". The names in JSON stay the same: path, state ("published", "none", "expired" or "unknown"), version, value, encoding, remains_ms (-1 for ever), confirmed, without, error; with --watch also time (RFC 3339). confirmed is false if nodes differ, and refuse this user the right to write: a later reader may see an earlier value then. without has the nodes that did not have the value.

Exit codes:

  0     there is a value; with --watch: SIGINT or SIGTERM ended it
  3     nothing was published, or it expired so long ago that the nodes have forgotten it
  4     the last value has expired
  64    wrong flags or node URLs
  69    too few nodes answered: the value is unknown
  71    the output cannot be written`
}

// Run prints the value.
func (c *latestCommand) Run(s *streams) error {
	if c.Raw && isTerminal(s.stdout) {
		return endWith(exitUsage, errors.New("--raw is for a pipe or a file: a value may have characters that a terminal obeys"))
	}
	if c.Path == "" {
		return endWith(exitUsage, errNoPath)
	}
	return c.look(func(locker *redlock.Locker) error {
		b, err := board.New(locker)
		switch {
		case err != nil:
			return err
		case c.Watch:
			return c.watch(b, s.stdout)
		}
		change := board.Change{Kind: board.Published}
		change.Entry, err = b.Latest(context.Background(), c.Path)
		switch {
		case errors.Is(err, board.ErrNotPublished):
			change.Kind, err = board.None, endWith(exitNotHeld, nil)
		case errors.Is(err, board.ErrExpired):
			change.Kind, err = board.Expired, endWith(exitExpired, nil)
		case err != nil:
			change.Kind, change.Err = board.Unknown, err
		}
		if failed := written(c.write(s, change)); failed != nil {
			return errors.Join(err, failed)
		}
		return err
	})
}

// write writes what a single question has found. That it is unknown is the error of the command,
// and only JSON has it as well.
func (c *latestCommand) write(s *streams, change board.Change) (err error) {
	switch {
	case c.JSON:
		return writeIndented(s.stdout, newLatest(c.Path, change))
	case change.Kind == board.Unknown:
	case c.Raw && change.Kind == board.Published:
		_, err = io.WriteString(s.stdout, change.Entry.Value)
	case c.Raw: // the value is none, and must not be taken for an empty one
		s.say.Print(latestText(c.Path, change))
	default:
		_, err = fmt.Fprintln(s.stdout, latestText(c.Path, change))
	}
	return err
}

// watch prints each change until a signal comes.
func (c *latestCommand) watch(b *board.Board, w io.Writer) error {
	return follow(w, func(ctx context.Context) (<-chan board.Change, error) { return b.Watch(ctx, c.Path) },
		func(change board.Change, at time.Time) any {
			change.Err = unknownWords(change.Err, "what is published at")
			if c.JSON {
				return jsonTimedLatest{stamped(at), newLatest(c.Path, change)}
			}
			return latestText(c.Path, change)
		})
}

// latestText is a change for people.
func latestText(path string, change board.Change) string {
	e := change.Entry
	switch change.Kind {
	case board.None:
		return fmt.Sprintf("nothing was published at %q", path)
	case board.Expired:
		return fmt.Sprintf("the last value of %q has expired, version %v", path, e.Version)
	case board.Unknown:
		return "unknown: " + errorText(change.Err)
	}
	text := fmt.Sprintf("%q is %q, version %v, %s%s", path, e.Value, e.Version, kept(e.Remains), unconfirmed(e.Confirmed))
	if len(e.Without) > 0 {
		text += "; missing on " + strings.Join(e.Without, ", ")
	}
	return text
}

type jsonLatest struct {
	Path    string `json:"path"`
	State   string `json:"state"`
	Version string `json:"version"`
	jsonValue
	Remains   int64    `json:"remains_ms"`
	Confirmed bool     `json:"confirmed"`
	Without   []string `json:"without"`
	Error     string   `json:"error"`
}

type jsonTimedLatest struct {
	Time string `json:"time"`
	jsonLatest
}

func newLatest(path string, change board.Change) jsonLatest {
	e := change.Entry
	j := jsonLatest{
		Path: path, State: change.Kind.String(), jsonValue: newValue(e.Value), Remains: millis(e.Remains),
		Confirmed: e.Confirmed, Without: append([]string{}, e.Without...), Error: errorText(change.Err),
	}
	if e.Version != (board.Version{}) {
		j.Version = e.Version.String()
	}
	return j
}
