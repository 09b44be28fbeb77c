package main

import (
	"fmt"
	"time"
)

type electCommand struct {
	masters
	Name     string         `required:"" help:"The name of the election. The lock of the leader has the same name."`
	Value    *string        `placeholder:"TEXT" help:"What the leader proclaims: observers and the next leader read it. An address, for instance. Default: the owner."`
	TTL      time.Duration  `name:"ttl" default:"8s" help:"If the leader dies the next one follows after this time at most. It is renewed after each third of that."`
	Wait     *time.Duration `placeholder:"TIME" help:"How long to campaign. 0s: one attempt. Default: until elected."`
	Guard    time.Duration  `placeholder:"LONGEST" help:"As for run."`
	Timeout  time.Duration  `name:"node-timeout" placeholder:"TIME" help:"How long to wait for the answer of one node. Default: a sixteenth of the TTL, at least 20ms, at most 1s."`
	Grace    time.Duration  `default:"5s" help:"How long the command has between SIGTERM and SIGKILL if the leadership is lost."`
	Owner    string         `placeholder:"LABEL" help:"The name of the leader that others see. Default: host:pid."`
	Prefix   string         `help:"The key in Redis is this prefix and the name. Default: no prefix."`
	Conflict int            `name:"conflict-exit-code" short:"E" default:"75" placeholder:"CODE" help:"The exit code if another process leads when --wait is over, 0 to 255. Default: 75."`
	StatusFD int            `name:"status-fd" placeholder:"N" help:"At the end, write a word and the exit code to this file descriptor, as run does."`
	Quiet    bool           `short:"q" xor:"talk" help:"Print nothing if another process leads, and no warnings about --node. Errors are still printed."`
	Verbose  bool           `short:"v" xor:"talk" help:"Print events on stderr: new ones at once, repeated ones with their number."`
	Command  []string       `arg:"" optional:"" passthrough:"partial" help:"The command and its arguments, after --. Without one this process leads until it is interrupted."`
}

// Help is the part of "redlock elect --help" after the flags.
func (*electCommand) Help() string {
	return `Example, on each machine that may lead:

  redlock elect --node redis://r1,redis://r2,redis://r3 --name web --value "$(hostname -i)" -- ./serve

It campaigns until it is elected. Candidates are elected in the order in which they came. The command runs while this process leads. Signals are passed on to it. It resigns when the command has ended, and the next candidate is elected at once.

If the leadership is lost (a majority of the nodes failed or forgot it, or this process was stopped for too long), the command and its children get SIGTERM at once, and SIGKILL after --grace. In the meantime another process may lead. What the command writes elsewhere can be protected by REDLOCK_TOKEN.

If redlock itself is killed, the command ends as with run, and the next candidate is elected when the TTL is over.

Without a command it prints a line when it leads, and resigns at SIGINT, SIGTERM, SIGHUP or SIGQUIT:

  $ redlock elect --node redis://r1,redis://r2,redis://r3 --name web --value 10.0.0.7
  this process leads "web" with "10.0.0.7", term 1764496814123456; the last value before was "10.0.0.5"

"redlock leader" shows the leader, "redlock status" its lock and the number of candidates.

The command's environment has:

  REDLOCK_NAME      the name of the election
  REDLOCK_KEY       the key of its lock in Redis: prefix and name
  REDLOCK_OWNER     the label that others see
  REDLOCK_TTL_MS    the time to live of the lock in milliseconds
  REDLOCK_TOKEN     the term: a fencing token, larger than that of each leader before
  REDLOCK_PREVIOUS  the last value of the leader before, if there was one in the last day (and no NUL is in it)

Exit codes, and the words of --status-fd:

  the command's    command       its own code, or 128+n if signal n ended it
  64               usage         wrong flags or node URLs
  69               no-quorum     with --wait: too few nodes answered, or nodes refuse for good
  71               not-started   the command could not be started
  75               taken         with --wait: another process leads; -E chooses another code
  79               lost          the leadership was lost
  126, 127         not-started   the command is not executable, was not found
  128+n            signal        signal n came before this process was elected
  0                released      without a command: it led until a signal came`
}

// Validate is called by the parser.
func (e *electCommand) Validate() error {
	if e.Wait != nil && *e.Wait < 0 {
		return fmt.Errorf("--wait: must not be negative")
	}
	r := e.asRun()
	r.Wait = 0
	return r.Validate()
}
