package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/redlock"
)

type publishCommand struct {
	onNodes
	Retention time.Duration `placeholder:"TIME" xor:"kept" help:"How long the value is kept, 10ms to 10 years. Default: 24h."`
	Forever   bool          `xor:"kept" help:"Keep the value until it is replaced."`
	Path      string        `arg:"" help:"The path."`
	Value     string        `arg:"" help:"The value, up to 64 KiB. - reads it from the standard input, as it is."`
}

// Help is the part of "redlock publish --help" after the flags.
func (*publishCommand) Help() string {
	return `Example:

  $ redlock publish --node redis://r1 --node redis://r2 --node redis://r3 config/limits 'rate=100'
  "config/limits" is published, version 1764496814123456.0, kept for 24h0m0s
  $ redlock publish --node redis://r1 --node redis://r2 --node redis://r3 --forever config/limits - <limits.toml

The value replaces the one before, when a majority of the nodes has it. There is no history. "redlock latest" shows it. A value that begins with a dash comes after "--".

If too few nodes answered, the value may be published all the same, now or later: publish it again.

Exit codes:

  0     a majority of the nodes has the value
  64    wrong flags or node URLs, or the value is too long
  69    too few nodes answered
  71    the input cannot be read, or the output not be written`
}

// Run publishes the value.
func (c *publishCommand) Run(s *streams) error {
	value := c.Value
	if value == "-" {
		read, err := io.ReadAll(io.LimitReader(os.Stdin, board.MaxValue+1))
		if err != nil {
			return endWith(exitSystem, fmt.Errorf("read the value: %w", err))
		}
		if value = string(read); len(value) > board.MaxValue {
			return endWith(exitUsage, fmt.Errorf("%q: the value on the standard input has more than %d bytes: publish where it can be found", c.Path, board.MaxValue))
		}
	}
	retention := 24 * time.Hour
	switch {
	case c.Forever:
		retention = board.Forever
	case c.Retention != 0:
		retention = c.Retention
	}
	if c.Path == "" {
		return endWith(exitUsage, errNoPath)
	}
	return c.look(func(locker *redlock.Locker) error {
		b, err := board.New(locker, board.WithRetention(retention))
		if err != nil {
			return optionWords(err)
		}
		version, err := b.Publish(context.Background(), c.Path, value)
		if errors.Is(err, redlock.ErrNoQuorum) {
			s.say.Printf("warning: the value may be published all the same, now or later: publish it again")
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.stdout, "%q is published, version %v, %s\n", c.Path, version, kept(retention))
		return written(err)
	})
}

var errNoPath = errors.New("the path must not be empty")

// kept is how long a value lives.
func kept(d time.Duration) string {
	if d < 0 {
		return "kept " + forEver
	}
	return "kept for " + d.String()
}
