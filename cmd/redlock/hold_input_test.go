//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

// withoutCommand are lockArgs that only hold the lock.
func withoutCommand(cluster *redlocktest.Cluster, flags ...string) []string {
	args := lockArgs(cluster)
	return append(args[:len(args)-1], flags...)
}

func TestWithoutACommandTheLockIsHeldUntilTheInputEnds(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, withoutCommand(cluster, "-v", "--fencing")...)
	if line := p.line(); !strings.HasPrefix(line, "held ") {
		t.Errorf("it says %q, and not its token", line)
	}
	if n := carriers(cluster); n < 2 {
		t.Errorf("%d nodes have the key", n)
	}
	start(t, lockArgs(cluster, "true")...).expectCode(exitNotAcquired)
	if _, err := p.stdin.Write([]byte("what is written here is of no concern\n")); err != nil {
		t.Error(err)
	}
	if n := carriers(cluster); n < 2 {
		t.Errorf("%d nodes have the key", n)
	}
	_ = p.stdin.Close()
	if out := p.expectCode(0); out != "" {
		t.Errorf("and it says %q", out)
	}
	p.expectSaid("is held until the standard input ends")
	if n := carriers(cluster); n != 0 {
		t.Errorf("%d nodes still have the key", n)
	}
}

func TestWithoutACommandASignalReleasesTheLockAndALossEndsRedlock(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, withoutCommand(cluster)...)
	p.expectLine("held")
	p.signal(syscall.SIGTERM)
	p.expectCode(143)
	if n := carriers(cluster); n != 0 {
		t.Errorf("%d nodes still have the key", n)
	}
	p = start(t, withoutCommand(cluster)...)
	p.expectLine("held")
	takeMajority(cluster)
	p.expectCode(exitLost)
	p.expectSaid(`the lock "backup" was lost`)
	p = start(t, withoutCommand(cluster)...)
	if out := p.expectCode(exitNoQuorum); out != "" {
		t.Errorf("it says %q", out)
	}
}

func TestWithoutACommandTheStatusDescriptorSaysThatTheLockWasReleased(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := command(withoutCommand(cluster, "--status-fd", "3")...)
	cmd.ExtraFiles = []*os.File{write}
	p := startCommand(t, cmd)
	_ = write.Close()
	p.expectLine("held")
	_ = p.stdin.Close()
	p.expectCode(0)
	if said, err := io.ReadAll(read); err != nil || string(said) != "released 0\n" {
		t.Errorf("it says %q, %v", said, err)
	}
}

func TestWithoutACommandTheLockIsReleasedIfItsOutputIsNotRead(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full")
	}
	defer full.Close()
	cluster := redlocktest.New(t, 3)
	var said bytes.Buffer
	cmd := command(withoutCommand(cluster)...)
	cmd.Stdout, cmd.Stderr = full, &said
	stdin, err := cmd.StdinPipe() // stays open
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	watchdog := time.AfterFunc(patience, func() { _ = stdin.Close() })
	defer watchdog.Stop()
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != exitSystem || !strings.Contains(said.String(), `nobody reads that the lock "backup" is held`) {
		t.Errorf("exit code %d, and it says\n%s", code, said.String())
	}
	if n := carriers(cluster); n != 0 {
		t.Errorf("%d nodes still have the key", n)
	}
}

func TestAScriptHoldsTheLockAsTheHelpSays(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		skip(t, "needs bash, for its coprocesses")
	}
	cluster := redlocktest.New(t, 3)
	_, script, _ := strings.Cut((*runCommand)(nil).Help(), "A script in bash")
	_, script, _ = strings.Cut(script, "\n\n")
	script, _, found := strings.Cut(script, "\n\n")
	if !found || !strings.Contains(script, "redis://r1,redis://r2,redis://r3") {
		t.Fatalf("the help has no script: %q", script)
	}
	script = strings.ReplaceAll(script, "redis://r1,redis://r2,redis://r3", "redis://"+strings.Join(cluster.Addrs(), ",redis://"))
	script = strings.ReplaceAll(script, "exec redlock", `exec "$REDLOCK"`)
	script = strings.ReplaceAll(script, "./dump && ./upload", `echo "$held"; read -r line`)
	cmd := exec.Command(bash, "-c", script)
	cmd.Env = append(os.Environ(), asCommand+"=1", "REDLOCK="+os.Args[0])
	p := startCommand(t, cmd)
	p.expectLine("held")
	if n := carriers(cluster); n < 2 {
		t.Errorf("%d nodes have the key", n)
	}
	_ = p.stdin.Close()
	p.expectCode(0)
	if n := carriers(cluster); n != 0 {
		t.Errorf("%d nodes still have the key", n)
	}
	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "another holder", 0)
	}
	p = startCommand(t, func() *exec.Cmd { c := exec.Command(bash, "-c", script); c.Env = cmd.Env; return c }())
	if out := p.expectCode(1); out != "" {
		t.Errorf("without the lock it goes on: %q", out)
	}
}
