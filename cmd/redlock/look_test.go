package main

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// lookArgs are the arguments of "redlock status" or "redlock watch".
func lookArgs(verb string, addrs []string) []string {
	args := []string{verb, lockName}
	for _, addr := range addrs {
		args = append(args, "--node", "redis://"+addr)
	}
	return args
}

func wantMatch(t *testing.T, got, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(got) {
		t.Errorf("got %q, want %s", got, pattern)
	}
}

func TestStatusSaysWhoHoldsTheLock(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	status := func() string { return start(t, lookArgs("status", cluster.Addrs())...).expectCode(0) }
	wantMatch(t, status(), `^nobody holds "backup": it is free on [23] of 3 nodes; 0 wait\n$`)
	holder := start(t, with(lockArgs(cluster, "sh", "-c", "echo ready; read line"), "--owner", "host-7")...)
	holder.expectLine("ready")
	wantMatch(t, status(), `^"backup" is held by host-7 on [23] of 3 nodes, for [12].*s if it is not extended; 0 wait\n$`)
	_ = holder.stdin.Close()
	holder.expectCode(1)
	cluster.Node(0).Stop()
	wantMatch(t, status(), `^nobody holds "backup": it is free on 2 of 3 nodes; 0 wait\n$`)
	cluster.Node(1).Stop()
	p := start(t, lookArgs("status", cluster.Addrs())...)
	p.expectCode(exitNoQuorum)
	p.expectSaid("no quorum")
	p.expectSaid("connection refused")
}

func TestWatchSaysWhatHappensUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	watch := start(t, lookArgs("watch", cluster.Addrs())...)
	wantMatch(t, watch.line(), `^\d\d:\d\d:\d\d\.\d{3}  released: nobody holds "backup"`)
	holder := start(t, with(lockArgs(cluster, "sh", "-c", "echo ready; read line"), "--owner", "host-7")...)
	holder.expectLine("ready")
	wantMatch(t, watch.line(), `acquired: "backup" is held by host-7`)
	_ = holder.stdin.Close()
	holder.expectCode(1)
	wantMatch(t, watch.line(), `released: nobody holds "backup"`)
	watch.signal(syscall.SIGTERM)
	watch.expectCode(0)
}

func TestLookingTakesNoBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"status"}, {"status", "x"}, {"watch", "x", "--node", "host"}, {"status", "", "--node", "redis://r"},
		{"status", "x", "--node", "redis://r", "--node-timeout", "0s"}, {"watch", "{x}:queue", "--node", "redis://r"},
	} {
		p := start(t, args...)
		p.cmd.Env = append(p.cmd.Env, "REDLOCK_NODES=")
		if code, out := p.end(); code != exitUsage || out != "" {
			t.Errorf("%q: exit code %d, output %q, stderr:\n%s", args, code, out, p.stderr.String())
		}
	}
}

// Processes on five real servers, first come first served; one of those who wait is
// killed, and one server, too.
func TestFairProcessesAreServedInTheOrderOfArrivalAndAKilledOneIsPassed(t *testing.T) {
	t.Parallel()
	var addrs []string
	var servers []*redisproc.Server
	for range 5 {
		s := redisproc.Start(t, redisproc.Options{})
		servers, addrs = append(servers, s), append(addrs, s.Addr())
	}
	run := func(flags []string, script string) *process {
		args := append([]string{"run", "--name", lockName, "--ttl", "2s", "--node-timeout", "300ms", "--fair"}, flags...)
		for _, addr := range addrs {
			args = append(args, "--node", "redis://"+addr)
		}
		return start(t, append(args, "--", "sh", "-c", script)...)
	}
	holder := run(nil, "echo ready; read line")
	holder.expectLine("ready")
	var all []*process
	for i := range 5 {
		all = append(all, run([]string{"--wait", "50s"}, fmt.Sprintf("echo %d; date +%%s%%N", i)))
		for end := time.Now().Add(20 * time.Second); ; {
			status := start(t, lookArgs("status", addrs)...).expectCode(0)
			if strings.HasSuffix(status, fmt.Sprintf("; %d wait\n", i+1)) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("number %d does not stand in line: %s", i, status)
			}
		}
	}
	all[0].signal(syscall.SIGKILL)
	all[2].signal(syscall.SIGKILL)
	servers[4].Kill()
	_ = holder.stdin.Close()
	holder.expectCode(1)
	last := ""
	for _, i := range []int{1, 3, 4} {
		out := strings.Fields(all[i].expectCode(0))
		if len(out) != 2 || out[0] != fmt.Sprint(i) || out[1] <= last {
			t.Errorf("number %d wrote %q, and the one before it was served at %s", i, out, last)
		}
		last = out[1]
	}
	for _, i := range []int{0, 2} {
		if code, out := all[i].end(); code != -1 || out != "" {
			t.Errorf("number %d was killed: exit code %d, output %q", i, code, out)
		}
	}
}
