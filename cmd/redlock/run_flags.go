package main

import (
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

type runCommand struct {
	masters
	Name     string        `required:"" help:"The name of the lock. Runs with the same name and nodes exclude each other."`
	TTL      time.Duration `name:"ttl" default:"8s" help:"How long the lock outlives this process if it dies. It is renewed after each third of that."`
	Wait     time.Duration `default:"0s" placeholder:"TIME" help:"How long to wait while another holder has the lock. Default: one attempt."`
	Fair     bool          `help:"Wait first come, first served, among all waiters with --fair. Needs --wait."`
	Shared   bool          `help:"Share the lock with other runs that use --shared (readers). A run without it is alone."`
	Slots    int           `placeholder:"K" help:"Let K runs with this name run at the same time, 1 to 256. The command finds the number of its slot in REDLOCK_SLOT, from 0: no other run has it meanwhile."`
	Fencing  bool          `help:"Give the command a fencing token in REDLOCK_TOKEN. It is larger for each later holder with --fencing. A database that remembers the largest token can reject a holder that was delayed."`
	Guard    time.Duration `placeholder:"LONGEST" help:"After a restart of a node, wait until locks of this TTL have expired before it grants locks. Give the longest TTL of all locks. All clients must use --guard, with the same TTL and number of nodes."`
	Timeout  time.Duration `name:"node-timeout" placeholder:"TIME" help:"How long to wait for the answer of one node. Default: a sixteenth of the TTL, at least 20ms, at most 1s."`
	Grace    time.Duration `default:"5s" help:"How long the command has between SIGTERM and SIGKILL if the lock is lost."`
	Owner    string        `placeholder:"LABEL" help:"The name of the holder that others see. Default: host:pid."`
	Prefix   string        `help:"The key in Redis is this prefix and the name. Default: no prefix."`
	Conflict int           `name:"conflict-exit-code" short:"E" default:"75" placeholder:"CODE" help:"The exit code if another holder has the lock, 0 to 255. Default: 75."`
	StatusFD int           `name:"status-fd" placeholder:"N" help:"At the end, write a word and the exit code to this file descriptor. See below."`
	Quiet    bool          `short:"q" xor:"talk" help:"Print nothing if another holder has the lock, and no warnings about --node. Errors are still printed."`
	Verbose  bool          `short:"v" xor:"talk" help:"Print events on stderr: new ones at once, repeated ones with their number."`
	round    func(redlock.RoundInfo)
	slot     int      // that was taken, with --slots
	Command  []string `arg:"" optional:"" passthrough:"partial" help:"The command and its arguments, after --. Without one the lock is held until the standard input ends."`
}

// Help is the part of "redlock run --help" after the flags.
func (*runCommand) Help() string {
	return `Example:

  redlock run --node redis://r1,redis://r2,redis://r3 --name backup --wait 30s -- ./backup.sh --full

The command starts when a majority of the nodes has granted the lock, and the lock is renewed until the command ends. Signals are passed on to it.

The lock is released when the command has ended, even if processes that it started in the background still run.

If the lock is lost (a majority of the nodes failed or forgot it), the command and its children get SIGTERM at once, and SIGKILL after --grace. In the meantime another holder may get the lock.

If redlock itself is killed, a second redlock process ends the command's process group in the same way. On Linux the command itself gets SIGKILL at once. A process that has left the group (setsid, daemons) gets no signal.

With --embedded, and no "redlock masters" on this machine, it starts five masters in memory of its own, which no other process can reach.

Without a command the lock is held until the standard input ends or a signal comes. When the lock is granted, redlock prints one line, "held", or "held TOKEN" with --fencing. If the lock is lost, redlock ends at once. A script in bash that holds the lock while it works:

  coproc LOCK { exec redlock run --node redis://r1,redis://r2,redis://r3 --name backup; }
  holder=$LOCK_PID
  read -r held <&"${LOCK[0]}" || exit 1   # the lock was not granted
  ./dump && ./upload
  kill -0 "$holder" || exit 1             # the lock was lost meanwhile
  eval "exec ${LOCK[1]}>&-"               # end its input: release the lock
  wait "$holder"                          # 0: the lock was held all the time

The command's environment has:

  REDLOCK_NAME     the name of the lock
  REDLOCK_KEY      its key in Redis: prefix and name
  REDLOCK_OWNER    the label that others see
  REDLOCK_TTL_MS   its time to live in milliseconds
  REDLOCK_TOKEN    its fencing token, with --fencing
  REDLOCK_SLOT     the number of its slot, with --slots; REDLOCK_KEY is that of the slot

Exit codes, and the words of --status-fd:

  the command's    command       its own code, or 128+n if signal n ended it
  64               usage         wrong flags or node URLs
  69               no-quorum     too few nodes answered
  71               not-started   the command could not be started
  75               taken         another holder has the lock; -E chooses another code
  79               lost          the lock was lost while the command ran
  126, 127         not-started   the command is not executable, was not found
  128+n            signal        signal n came while waiting for the lock, or holding it without a command
  0                released      without a command: the input ended, and the lock was held until then

The command may end with any of these codes, too. --status-fd distinguishes them: at the end redlock writes one line to it, such as "command 75" or "taken 75". The line is missing if the flags are wrong, or if redlock itself was killed. The command does not inherit the file descriptor.

  redlock run --status-fd 3 --name backup -- ./backup.sh 3>status
  read -r word code <status

For cron on several machines: one of them runs the command, the others print nothing and end with 0.

  redlock run -q -E 0 --name backup --node redis://r1,redis://r2,redis://r3 -- ./backup.sh`
}

// Validate is called by the parser.
func (r *runCommand) Validate() error {
	if r.Wait < 0 {
		return fmt.Errorf("--wait: must not be negative")
	}
	if r.Timeout < 0 {
		return fmt.Errorf("--node-timeout: must not be negative")
	}
	if r.Guard < 0 {
		return fmt.Errorf("--guard: must not be negative")
	}
	if r.Slots < 0 || r.Slots > 256 {
		return fmt.Errorf("--slots: must be 1 to 256")
	}
	if r.Slots > 0 && r.Shared {
		return fmt.Errorf("--slots and --shared: give one of them: readers are as many as want to read")
	}
	if r.Grace < 0 {
		return fmt.Errorf("--grace: must not be negative")
	}
	if r.Conflict < 0 || r.Conflict > 255 {
		return fmt.Errorf("--conflict-exit-code: must be 0 to 255")
	}
	return nil
}
