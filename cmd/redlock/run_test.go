package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

func TestTheCommandsOwnExitCodeIsPassedOn(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, code := range []int{0, 1, 64, 255} {
		start(t, lockArgs(cluster, "sh", "-c", "exit "+strconv.Itoa(code))...).expectCode(code)
	}
}

func TestTheCommandGetsItsArgumentsByteForByte(t *testing.T) {
	t.Parallel()
	const odd = "a\xffb\x9b"
	cluster := redlocktest.New(t, 3)
	if out := start(t, lockArgs(cluster, "printf", "%s", odd)...).expectCode(0); out != odd {
		t.Errorf("the command was given %q, want %q", out, odd)
	}
}

func TestACommandThatASignalEndsGives128PlusItsNumberAndTheLockIsReleased(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	start(t, lockArgs(cluster, "sh", "-c", "kill -KILL $$")...).expectCode(128 + int(syscall.SIGKILL))
	if n := carriers(cluster); n != 0 {
		t.Errorf("%d nodes still have the key", n)
	}
}

func TestTheLockIsHeldWhileTheCommandRunsAndReleasedWhenItEnds(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, lockArgs(cluster, "sh", "-c", "echo ready; read line; exit 7")...)
	p.expectLine("ready")
	if n := carriers(cluster); n < 2 {
		t.Errorf("%d nodes have the key", n)
	}
	_ = p.stdin.Close()
	p.expectCode(7)
	if n := carriers(cluster); n != 0 {
		t.Errorf("%d nodes still have the key", n)
	}
}

func TestALockThatIsTakenIs75AndNamesItsHolder(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	holder := start(t, with(lockArgs(cluster, "sh", "-c", "echo ready; read line"), "--owner", "host-7")...)
	holder.expectLine("ready")
	p := start(t, lockArgs(cluster, "echo", "ran")...)
	if out := p.expectCode(exitNotAcquired); out != "" {
		t.Errorf("the command ran: %q", out)
	}
	p.expectSaid("taken by host-7 on")
	_ = holder.stdin.Close()
	holder.expectCode(1) // of read, at the end of its input
}

func TestRunsWithSharedShareTheLockAndKeepOutOthers(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	args := lockArgs(cluster, "sh", "-c", "echo ready; read line")
	one := start(t, with(args, "--shared", "--owner", "host-7")...)
	one.expectLine("ready")
	other := start(t, with(args, "--shared", "--owner", "host-7")...)
	other.expectLine("ready")
	p := start(t, lockArgs(cluster, "echo", "ran")...)
	if out := p.expectCode(exitNotAcquired); out != "" {
		t.Errorf("the command ran: %q", out)
	}
	p.expectSaid("taken by host-7 and 1 other reader on")
	for _, p := range []*process{one, other} {
		_ = p.stdin.Close()
		p.expectCode(1) // of read, at the end of its input
	}
	start(t, lockArgs(cluster, "echo", "ran")...).expectCode(0)
}

func TestRunsWithSlotsRunAtTheSameTimeEachWithANumber(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	args := lockArgs(cluster, "sh", "-c", `echo "$REDLOCK_SLOT $REDLOCK_KEY"; read line`)
	one := start(t, with(args, "--slots", "2")...)
	other := start(t, with(args, "--slots", "2")...)
	slots := []string{one.line(), other.line()}
	slices.Sort(slots)
	if want := []string{"0 " + lockName + "/0", "1 " + lockName + "/1"}; !slices.Equal(slots, want) {
		t.Errorf("slots %q, want %q", slots, want)
	}
	p := start(t, with(lockArgs(cluster, "echo", "ran"), "--slots", "2")...)
	if out := p.expectCode(exitNotAcquired); out != "" {
		t.Errorf("the command ran: %q", out)
	}
	_ = one.stdin.Close()
	one.expectCode(1) // of read, at the end of its input
	start(t, with(lockArgs(cluster, "echo", "ran"), "--slots", "2")...).expectCode(0)
	_ = other.stdin.Close()
	other.expectCode(1)
	start(t, with(lockArgs(cluster, "echo", "ran"), "--slots", "2", "--shared")...).expectCode(exitUsage)
	start(t, with(lockArgs(cluster, "echo", "ran"), "--slots", "257")...).expectCode(exitUsage)
}

func TestTooFewNodesAre69AndSayWhatEachMet(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	cluster.Node(0).Stop()
	cluster.Node(2).Stop()
	for _, flags := range [][]string{nil, {"--wait", "300ms"}} {
		p := start(t, with(lockArgs(cluster, "echo", "ran"), flags...)...)
		if out := p.expectCode(exitNoQuorum); out != "" {
			t.Errorf("the command ran: %q", out)
		}
		p.expectSaid("connection refused")
	}
}

func TestWaitGetsTheLockOnceItIsFree(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "another", 0)
	}
	p := start(t, with(lockArgs(cluster, "echo", "ran"), "--wait", "25s")...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, n := range cluster.Nodes() { // it was refused at least once
		if err := n.Await(ctx, func(s redlocktest.Stats) bool { return s.Commands >= 3 }); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range cluster.Nodes() {
		n.Delete(lockName)
	}
	p.expectLine("ran")
	p.expectCode(0)
}

func TestAWaitThatRunsOutIs75(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "another", 0)
	}
	began := time.Now()
	p := start(t, with(lockArgs(cluster, "echo", "ran"), "--wait", "1s")...)
	p.expectCode(exitNotAcquired)
	p.expectSaid("taken by foreign holder")
	if d := time.Since(began); d < time.Second {
		t.Errorf("it waited for %v", d)
	}
}

func TestASignalEndsTheWaitAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	cluster.Node(0).Hold(lockName, "another", 0)
	cluster.Node(1).Hold(lockName, "another", 0)
	p := start(t, with(lockArgs(cluster, "echo", "ran"), "--wait", "25s")...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := cluster.Node(2).Await(ctx, func(s redlocktest.Stats) bool { return s.Commands >= 1 }); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	if out := p.expectCode(128 + int(syscall.SIGTERM)); out != "" {
		t.Errorf("the command ran: %q", out)
	}
	if _, ok := cluster.Node(2).Get(lockName); ok {
		t.Error("node 2 has the key of a lock that was not granted")
	}
}

func TestACommandThatCannotRunIsFoundOutBeforeTheLockIsTaken(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	file := filepath.Join(t.TempDir(), "backup.sh")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, lockArgs(cluster, "no-such-command-anywhere")...).expectCode(exitNotFound)
	start(t, lockArgs(cluster, filepath.Join(t.TempDir(), "missing"))...).expectCode(exitNotFound)
	start(t, lockArgs(cluster, file)...).expectCode(exitNotExec)
	for i, n := range cluster.Nodes() {
		if s := n.Stats(); s.Commands != 0 {
			t.Errorf("node %d got %d commands", i, s.Commands)
		}
	}
}

func TestAScriptWithoutInterpreterIs126AndReleasesTheLock(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	file := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(file, []byte("echo ran\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := start(t, lockArgs(cluster, file)...)
	p.expectCode(exitNotExec)
	p.expectSaid("#!/bin/sh")
	if n := carriers(cluster); n != 0 {
		t.Errorf("%d nodes still have the key", n)
	}
}

func TestWrongUsageIs64AndRunsNothing(t *testing.T) {
	t.Setenv(nodesVariable, "")
	for _, args := range [][]string{
		{"run"},
		{"nonsense"},
		{"run", "--embedded", "--", "echo", "ran"},
		{"run", "--embedded", "--name", "x", "--"},
		{"run", "--name", "x", "--", "echo", "ran"},
		{"run", "--embedded", "--node", "redis://localhost", "--name", "x", "--", "echo", "ran"},
		{"run", "--embedded", "--name", "x", "--ttl", "1ms", "--", "echo", "ran"},
		{"run", "--embedded", "--name", "x", "--wait", "-1s", "--", "echo", "ran"},
		{"run", "--embedded", "--name", "x", "--grace", "-1s", "--", "echo", "ran"},
		{"run", "--embedded", "--name", "x", "--guard", "-1s", "--", "echo", "ran"},
		{"run", "--embedded", "--name", "x", "--guard", "1s", "--ttl", "2s", "--", "echo", "ran"},
		{"run", "--embedded", "--name", "", "--", "echo", "ran"},
		{"run", "--embedded", "--name", "x", "--owner", "a\nb", "--", "echo", "ran"},
		{"run", "--node", "redis://r1", "--node", "redis://r1:6379", "--name", "x", "--", "echo", "ran"},
		{"run", "--node", "http://r1", "--name", "x", "--", "echo", "ran"},
		{"demo", "--duration", "1s"},
		{"demo", "--duration", "2m"},
	} {
		p := start(t, args...)
		code, out := p.end()
		if code != exitUsage || out != "" || p.stderr.String() == "" {
			t.Errorf("redlock %s: exit code %d, stdout %q, stderr %q", strings.Join(args, " "), code, out, p.stderr.String())
		}
	}
}

func TestTheCommandGetsTheLockAndNoSecrets(t *testing.T) {
	cluster := redlocktest.New(t, 3)
	var urls []string
	for _, addr := range cluster.Addrs() {
		urls = append(urls, "redis://"+addr+"/0?client_name=cron")
	}
	t.Setenv(nodesVariable, strings.Join(urls, "\n "))
	t.Setenv("REDLOCK_NAME", "of an outer lock")
	t.Setenv("REDLOCK_TOKEN", "7")
	p := start(t, "run", "--name", lockName, "--prefix", "jobs:", "--owner", "host-7", "--ttl", "3s", "--", "sh", "-c", "env | grep ^REDLOCK_ | grep -v ^REDLOCK_EMBEDDED | sort; read line")
	p.expectLine("REDLOCK_KEY=jobs:" + lockName)
	p.expectLine("REDLOCK_NAME=" + lockName)
	p.expectLine("REDLOCK_OWNER=host-7")
	p.expectLine("REDLOCK_TTL_MS=3000")
	if n := carriersOf(cluster, "jobs:"+lockName); n < 2 {
		t.Errorf("%d nodes have the key that REDLOCK_KEY names", n)
	}
	_ = p.stdin.Close()
	if rest := p.expectCode(1); rest != "" {
		t.Errorf("and also %s", rest)
	}
}

func TestTheCommandGetsItsFencingToken(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	args := []string{"run", "--name", lockName, "--fencing"}
	for _, addr := range cluster.Addrs() {
		args = append(args, "--node", "redis://"+addr)
	}
	var last uint64
	for range 2 {
		out := start(t, append(args, "--", "sh", "-c", `echo "$REDLOCK_TOKEN"`)...).expectCode(0)
		token, err := strconv.ParseUint(strings.TrimSpace(out), 10, 64)
		if err != nil || token <= last {
			t.Errorf("token %q after %d", out, last)
		}
		last = token
	}
}

func TestNodesThatRestartedAreKeptOut(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 1)
	args := []string{"run", "--name", lockName, "--ttl", "1s", "--guard", "1s", "--node", "redis://" + cluster.Addrs()[0]}
	command := []string{"--", "echo", "ran"}
	p := start(t, append(args, command...)...) // a new node is none that anything is known of
	p.expectCode(exitNoQuorum)
	p.expectSaid("may have forgotten locks")
	p = start(t, append(append(args, "--wait", "10s"), command...)...)
	p.expectLine("ran")
	p.expectCode(0)
	start(t, append(args, command...)...).expectCode(0)
}

func TestEmbeddedNeedsNoRedis(t *testing.T) {
	t.Parallel()
	p := start(t, "run", "--embedded", "--name", "try", "--", "sh", "-c", "echo ran; exit 3")
	p.expectLine("ran")
	p.expectCode(3)
	p.expectSaid("in memory")
}

func TestHelpAndVersionAreNoErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"--version"}, {"run", "--help"}, {"demo", "--help"}, {}, {"help"}, {"version"}, {"help", "run"}, {"help", "help"}, {"completion", "bash"}, {"completion", "--help"}} {
		if out := start(t, args...).expectCode(0); !strings.Contains(out, "redlock") {
			t.Errorf("redlock %v says %q", args, out)
		}
	}
}
