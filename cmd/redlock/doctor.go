package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/cmd/redlock/internal/child"
	"github.com/quorumlock/quorumlock/redlock"
)

type doctorCommand struct {
	masters
	TTL     time.Duration `name:"ttl" default:"8s" help:"The time to live of your locks."`
	Timeout time.Duration `name:"node-timeout" placeholder:"TIME" help:"The node timeout of your locks. Default: a sixteenth of the TTL, at least 20ms, at most 1s."`
	Prefix  string        `help:"The prefix of your locks. The rights of the user are checked for keys with this prefix. Default: no prefix."`
	Fair    bool          `help:"Your locks use --fair: a missing requirement of it is an error."`
	Fencing bool          `help:"Your locks use --fencing: a missing requirement of it is an error."`
	Guard   time.Duration `placeholder:"LONGEST" help:"Your locks use --guard: a missing requirement of it is an error, and so is a node in quarantine, or another client with other settings. Data lost by a restart is no warning then."`
	JSON    bool          `name:"json" help:"Write JSON: {\"worst\": \"note\", \"findings\": [{\"severity\", \"check\", \"node\", \"seen\", \"endangers\", \"remedy\"}]}"`
}

// Help is the part of "redlock doctor --help" after the flags.
func (*doctorCommand) Help() string {
	return `Example:

  $ redlock doctor --node redis://r1 --node redis://r2 --node redis://r3

It looks for nodes that are no masters, that are the same server twice, or several servers under one name; that evict keys or forget locks when they restart; whose clocks run fast; that are far away; that refuse what locks need; or that --guard keeps out. On each node it does what your locks do, with --fair, --fencing and --guard if you give them, under keys of its own, and looks at the keys afterwards. It takes between one and eight seconds.

Findings are errors (exclusion is in danger, or a node grants no locks), warnings (that is possible, or could not be checked) and notes. Give it the user, --prefix and --ttl of your service; an administrator sees more than a user with the rights for locks.

Equal findings of several nodes are shown once, below the names of these nodes. Lines are as wide as the terminal, or 80 columns.

The names in JSON, and the words of "severity" and "check", stay the same; other texts may change. In JSON a finding is about one node, or about all if node is "".

Exit codes:

  0     notes at most
  64    wrong flags or node URLs
  78    at least one error
  80    at least one warning, and no error
  128+n signal n ended it`
}

// Validate is called by the parser.
func (c *doctorCommand) Validate() error {
	if c.Guard < 0 {
		return fmt.Errorf("--guard: must not be negative")
	}
	if c.Timeout < 0 {
		return fmt.Errorf("--node-timeout: must not be negative")
	}
	return nil
}

// Run prints a report.
func (c *doctorCommand) Run(s *streams) error {
	nodes, err := c.open("")
	if err != nil {
		return err
	}
	defer nodes.close()
	options := []redlock.Option{redlock.WithTTL(c.TTL), redlock.WithPrefix(c.Prefix)}
	if c.Timeout > 0 {
		options = append(options, redlock.WithNodeTimeout(c.Timeout))
	}
	if c.Fair {
		options = append(options, redlock.WithFair())
	}
	if c.Guard > 0 {
		options = append(options, redlock.WithRestartGuard(c.Guard))
	}
	if c.Fencing {
		options = append(options, redlock.WithFencing())
	}
	locker, err := redlock.New(nodes.pools, options...)
	if err != nil {
		return endWith(exitUsage, optionWords(err))
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() { // ends with ctx
		select {
		case sig := <-signals:
			stop(interruption{sig})
		case <-ctx.Done():
		}
	}()

	found, err := locker.Check(ctx)
	closing, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = locker.Close(closing) // it waits for what Check left; the rest goes by itself
	if err != nil {
		code := exitSystem
		if sig, ok := context.Cause(ctx).(interruption); ok {
			code = exitSignal + child.Number(sig.Signal)
		}
		return endWith(code, err)
	}
	found = findingWords(found)
	if c.JSON {
		err = writeJSON(redacting{s.stdout}, found)
	} else {
		err = writeReport(redacting{s.stdout}, widthOf(s.stdout), found)
	}
	if err != nil {
		return err
	}
	if code := verdict(found); code != 0 {
		return endWith(code, nil) // the report says it
	}
	return nil
}

// interruption is a signal as the cause of an end.
type interruption struct{ os.Signal }

func (i interruption) Error() string { return i.String() }

// verdict is the exit code for findings: the worst comes first.
func verdict(found []redlock.Finding) int {
	switch worst(found) {
	case redlock.SeverityError:
		return exitUnsafe
	case redlock.SeverityWarning:
		return exitDoubtful
	}
	return 0
}

func worst(found []redlock.Finding) redlock.Severity {
	if len(found) == 0 {
		return redlock.SeverityNote
	}
	return found[0].Severity
}

// The names are a contract.
type jsonReport struct {
	Worst    string        `json:"worst"`
	Findings []jsonFinding `json:"findings"`
}

type jsonFinding struct {
	Severity  string `json:"severity"`
	Check     string `json:"check"`
	Node      string `json:"node"`
	Seen      string `json:"seen"`
	Endangers string `json:"endangers"`
	Remedy    string `json:"remedy"`
}

// writeJSON writes the findings for programs.
func writeJSON(w io.Writer, found []redlock.Finding) error {
	report := jsonReport{Worst: worst(found).String(), Findings: []jsonFinding{}}
	for _, f := range found {
		report.Findings = append(report.Findings, jsonFinding{f.Severity.String(), f.Check, f.Node, f.Seen, f.Endangers, f.Remedy})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // "&{app:*}:wake*" is to be read, and to be copied
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
