//go:build unix

package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/redlocktest"
)

func TestARunOfCronThatFindsTheLockTakenPrintsNothingAndEndsWithTheCodeThatWasAskedFor(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "another holder", 0)
	}
	for _, c := range []struct {
		flags []string
		code  int
	}{
		{[]string{"-q"}, exitNotAcquired},
		{[]string{"-q", "-E", "0"}, 0},
		{[]string{"--quiet", "--conflict-exit-code=255", "--wait", "20ms"}, 255},
	} {
		p := start(t, with(lockArgs(cluster, "echo", "ran"), c.flags...)...)
		if out := p.expectCode(c.code); out != "" || p.stderr.String() != "" {
			t.Errorf("%v: it prints %q and %q", c.flags, out, p.stderr.String())
		}
	}
	cluster.Node(0).Freeze() // and does not confirm that there is nothing to release
	p := start(t, with(lockArgs(cluster, "echo", "ran"), "-q", "-E", "0")...)
	if out := p.expectCode(0); out != "" || p.stderr.String() != "" {
		t.Errorf("with a node that is frozen it prints %q and %q", out, p.stderr.String())
	}
	p = start(t, with(lockArgs(cluster, "echo", "ran"), "-E", "0")...)
	p.expectCode(0)
	p.expectSaid("was not granted: taken by")
}

func TestQuietDoesNotHideErrors(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	cluster.Node(0).Stop()
	cluster.Node(1).Stop()
	p := start(t, with(lockArgs(cluster, "echo", "ran"), "-q", "-E", "0")...)
	p.expectCode(exitNoQuorum)
	p.expectSaid("connection refused")
}

func TestAConflictCodeThatIsNoExitCodeIsRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"-1", "256", "x"} {
		p := start(t, "run", "--embedded", "--name", "x", "-E="+code, "--", "echo", "ran")
		if out := p.expectCode(exitUsage); out != "" {
			t.Errorf("-E %s: the command ran", code)
		}
		p.expectSaid("--conflict-exit-code")
	}
	p := start(t, "run", "--embedded", "--name", "x", "-q", "-v", "--", "echo", "ran")
	p.expectCode(exitUsage)
	p.expectSaid("--quiet and --verbose")
}

// withStatus starts redlock with a file descriptor 3, and returns a function that waits for
// the end and returns what was written there.
func withStatus(t *testing.T, args []string) (*process, func(code int) string) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(with(args, "--status-fd", "3")...)
	cmd.ExtraFiles = []*os.File{write}
	p := startCommand(t, cmd)
	_ = write.Close()
	return p, func(code int) string {
		t.Helper()
		p.expectCode(code)
		said, err := io.ReadAll(read) // it ends when no process has the other end, not even the command
		if err != nil {
			t.Error(err)
		}
		return string(said)
	}
}

func TestTheStatusDescriptorSeparatesCodesOfTheCommandFromThoseOfRedlock(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, code := range []int{0, 1, exitUsage, exitNoQuorum, exitNotAcquired, exitLost, exitNotExec, exitNotFound, 255} {
		_, end := withStatus(t, lockArgs(cluster, "sh", "-c", "exit "+strconv.Itoa(code)))
		if got, want := end(code), "command "+strconv.Itoa(code)+"\n"; got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{"usage 64\n", exitUsage, []string{"run", "--node", "nonsense", "--name", "x", "--", "true"}},
		{"not-started 127\n", exitNotFound, lockArgs(cluster, "no-such-command-anywhere")},
		{"command 137\n", 137, lockArgs(cluster, "sh", "-c", "kill -KILL $$")},
	} {
		if _, end := withStatus(t, c.args); end(c.code) != c.want {
			t.Errorf("%v: not %q", c.args, c.want)
		}
	}

	p, end := withStatus(t, lockArgs(cluster, "sh", "-c", "echo ready; read line"))
	p.expectLine("ready")
	for flags, want := range map[string]string{"": "taken 75\n", "-E 0": "taken 0\n"} {
		code, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(want, "taken ")))
		if _, end := withStatus(t, with(lockArgs(cluster, "true"), strings.Fields(flags)...)); end(code) != want {
			t.Errorf("%s: not %q", flags, want)
		}
	}
	takeMajority(cluster)
	if got := end(exitLost); got != "lost 79\n" {
		t.Errorf("of a lock that was lost it says %q", got)
	}
	if _, end := withStatus(t, lockArgs(cluster, "true")); end(exitNoQuorum) != "no-quorum 69\n" {
		t.Error("not no-quorum")
	}
}

func TestTheCommandDoesNotHaveTheStatusDescriptor(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	_, end := withStatus(t, lockArgs(cluster, "sh", "-c", "echo forged >&3"))
	if got := end(2); got != "command 2\n" {
		t.Errorf("it says %q", got)
	}
}

func TestAStatusDescriptorThatCannotBeWrittenToIsRefused(t *testing.T) {
	t.Parallel()
	for fd, want := range map[string]string{"1": "give 3 or more", "-7": "give 3 or more", "9": "not open", "4": "not open", "3": "reading only"} {
		cmd := command("run", "--embedded", "--name", "x", "--status-fd="+fd, "--", "echo", "ran")
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = []*os.File{null}
		p := startCommand(t, cmd)
		_ = null.Close()
		if out := p.expectCode(exitUsage); out != "" {
			t.Errorf("--status-fd %s: the command ran", fd)
		}
		p.expectSaid(want)
	}
}
