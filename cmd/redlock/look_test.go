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

func TestStatusNamesTheHolderAndWhatEachNodeSays(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	status := func() string { return start(t, lookArgs("status", cluster.Addrs())...).expectCode(0) }
	wantMatch(t, status(), `^nobody holds "backup": it is free on 3 of 3 nodes; 0 wait\n(  127\.\S+ +free\n){3}$`)
	holder := start(t, with(lockArgs(cluster, "sh", "-c", "echo ready; read line"), "--owner", "host-7")...)
	holder.expectLine("ready")
	for carriers(cluster) < 3 { // the third one is not waited for
		time.Sleep(time.Millisecond)
	}
	wantMatch(t, status(), `^"backup" is held by host-7 on 3 of 3 nodes, for [12].*s if it is not extended; 0 wait\n(  127\.\S+ +held by host-7, for [12].*s\n){3}$`)
	_ = holder.stdin.Close()
	holder.expectCode(1)
	cluster.Node(0).Stop()
	wantMatch(t, status(), `^nobody holds "backup": it is free on 2 of 3 nodes; 0 wait\n  127\.\S+ +unknown: .*connection refused.*\n(  127\.\S+ +free\n){2}$`)
	cluster.Node(1).Stop()
	p := start(t, lookArgs("status", cluster.Addrs())...)
	wantMatch(t, p.expectCode(exitNoQuorum), `^it is unknown who holds "backup": 1 of 3 nodes answered\n(  .*unknown: .*\n){2}  127\.\S+ +free\n$`)
	p.expectSaid(`redlock status: "backup": no quorum`)
	p.expectSaid("connection refused")
}

// Keys of two holders on two of three nodes: it has no holder, and no client can get it.
func TestStatusSaysThatNoClientCanGetALockAndReleaseEndsThat(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	cluster.Node(0).Hold(lockName, "0f8fad5bd9cb469fa16570867728950e", time.Hour)
	cluster.Node(1).Hold(lockName, "1f8fad5bd9cb469fa16570867728950e", time.Minute)
	out := start(t, lookArgs("status", cluster.Addrs())...).expectCode(0)
	wantMatch(t, out, `^nobody can get "backup" for (1m0s|59.*s); no holder has a majority, and it is free on 1 of 3 nodes; 0 wait
  127\.\S+ +held by foreign holder #\w{8}, for (1h0m0s|59m.*s)
  127\.\S+ +held by foreign holder #\w{8}, for (1m0s|59.*s)
  127\.\S+ +free\n$`)
	if strings.Contains(out, "nobody holds") {
		t.Errorf("it says %s", out)
	}
	list := start(t, append(lookArgs("list", cluster.Addrs()), "--json")...).expectCode(0)
	wantMatch(t, list, `"state": "blocked",`)

	p := start(t, lookArgs("release", cluster.Addrs())...)
	p.expectCode(exitUsage)
	p.expectSaid("redlock release: this takes the lock away from a holder that may be at work: give --force if you mean that")
	if carriers(cluster) != 2 {
		t.Error("without --force something was deleted")
	}
	release := append(lookArgs("release", cluster.Addrs()), "--force")
	wantMatch(t, start(t, release...).expectCode(0), `^nobody held "backup"; what kept others from it is deleted: the key of foreign holder #\w{8} on 1 of 3 nodes, the key of foreign holder #\w{8} on 1 of 3 nodes\n$`)
	p = start(t, release...)
	p.expectCode(exitNotHeld)
	p.expectSaid(`redlock release: "backup": lock is not held`)
}

func TestReleaseEndsTheCommandOfAHolder(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	holder := start(t, with(lockArgs(cluster, "sh", "-c", "echo ready; sleep 50"), "--owner", "host-7")...)
	holder.expectLine("ready")
	for carriers(cluster) < 3 {
		time.Sleep(time.Millisecond)
	}
	out := start(t, append(lookArgs("release", cluster.Addrs()), "--force")...).expectCode(0)
	wantMatch(t, out, `^"backup" was held by host-7 and is released: the key of host-7 on 3 of 3 nodes\nits holder works on until it asks the nodes again, .*\n$`)
	holder.expectCode(exitLost)

	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "rl1:00000000000000000000000000000000:host-8", 0)
	}
	cluster.Node(2).Stop()
	p := start(t, append(lookArgs("release", cluster.Addrs()), "--force")...)
	wantMatch(t, p.expectCode(0), `^"backup" was held by host-8 and is released: the key of host-8 on 2 of 3 nodes\n`)
	p.expectSaid("node " + cluster.Addrs()[2] + ": a key may be left there until it expires: ")
	p.expectSaid("connection refused")
}

// Programs read these names.
func TestReleaseWritesJSONWithNamesThatStay(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "rl1:00000000000000000000000000000000:host-7", time.Hour)
	}
	args := append(lookArgs("release", cluster.Addrs()), "--json")
	if code, out := start(t, args...).end(); code != exitUsage || out != "" || carriers(cluster) != 3 {
		t.Errorf("without --force: exit code %d, output %q, and %d nodes have the lock", code, out, carriers(cluster))
	}
	args = append(args, "--force")
	cluster.Node(2).Stop()
	released := start(t, args...)
	wantMatch(t, released.expectCode(0), `^{
  "name": "backup",
  "state": "released",
  "holder": "host-7",
  "total": 3,
  "ended": \[
    {
      "holder": "host-7",
      "nodes": 2
    }
  \],
  "failed": \[
    {
      "node": "127\.0\.0\.1:\d+",
      "error": ".*connection refused.*"
    }
  \],
  "error": ""
}\n$`)
	released.expectSaid("a key may be left there until it expires")
	wantMatch(t, start(t, args...).expectCode(exitNotHeld), `^{
  "name": "backup",
  "state": "free",
  "holder": "",
  "total": 3,
  "ended": \[\],
  "failed": \[
(?s:.*)
  "error": ".*lock is not held.*"
}\n$`)
	cluster.Node(1).Stop()
	wantMatch(t, start(t, args...).expectCode(exitNoQuorum), `"state": "unknown",\n  "holder": "",(?s:.*)"error": ".*no quorum.*"\n}\n$`)
	if code, out := start(t, "release", "", "--json", "--force", "--node", "redis://r").end(); code != exitUsage || out != "" {
		t.Errorf("of no name: exit code %d, output %q", code, out)
	}
}

func TestQuietStatusSaysByItsCodeWhetherTheLockIsHeld(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	quiet := func(code int) string {
		t.Helper()
		p := start(t, append(lookArgs("status", cluster.Addrs()), "-q")...)
		if out := p.expectCode(code); out != "" {
			t.Errorf("it writes %q", out)
		}
		return p.stderr.String()
	}
	if said := quiet(exitNotHeld); said != "" {
		t.Errorf("it says %q", said)
	}
	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "rl1:00000000000000000000000000000000:host-7", 0)
	}
	if said := quiet(0); said != "" {
		t.Errorf("it says %q", said)
	}
	cluster.Node(1).Stop()
	cluster.Node(2).Stop()
	wantMatch(t, quiet(exitNoQuorum), `^redlock status: "backup": no quorum`)
}

// Programs read these names.
func TestJSONSaysTheSameAsTheLines(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "rl1:00000000000000000000000000000000:host-7", 0)
	}
	cluster.Node(2).Stop()
	wantMatch(t, start(t, append(lookArgs("status", cluster.Addrs()), "--json")...).expectCode(0), `^{
  "name": "backup",
  "state": "held",
  "holder": "host-7",
  "nodes": 2,
  "total": 3,
  "ttl_ms": -1,
  "blocked_ms": 0,
  "waiting": 0,
  "error": "",
  "by_node": \[
    {
      "node": "127\.0\.0\.1:\d+",
      "state": "held",
      "holder": "host-7",
      "ttl_ms": -1,
      "error": ""
    },
    {(?s:.*)
    {
      "node": "127\.0\.0\.1:\d+",
      "state": "unknown",
      "holder": "",
      "ttl_ms": 0,
      "error": ".*connection refused.*"
    }
  \]
}\n$`)
	list := start(t, append(lookArgs("list", cluster.Addrs()), "--json")...)
	wantMatch(t, list.expectCode(0), `^{
  "locks": \[
    {
      "name": "backup",
      "state": "held",
      "holder": "host-7",
      "nodes": 2,
      "total": 3,
      "ttl_ms": -1,
      "blocked_ms": 0,
      "waiting": 0
    }
  \],
  "failed": \[
    {
      "node": "127\.0\.0\.1:\d+",
      "error": ".*connection refused.*"
    }
  \]
}\n$`)
	list.expectSaid("node 127.0.0.1:")
	watch := start(t, append(lookArgs("watch", cluster.Addrs()), "--json")...)
	wantMatch(t, watch.line(), `^{"time":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\S+","change":"acquired","name":"backup","state":"held","holder":"host-7","nodes":2,"total":3,"ttl_ms":-1,"blocked_ms":0,"waiting":0,"error":""}$`)
	cluster.Node(1).Stop()
	wantMatch(t, watch.line(), `"change":"unknown","name":"backup","state":"unknown","holder":"","nodes":0,.*"error":"no majority says who holds \\"backup\\": 1 of 3 nodes answered; node 127\.0\.0\.1:\d+: .*connection refused`)
	watch.signal(syscall.SIGTERM)
	watch.expectCode(0)
	status := start(t, append(lookArgs("status", cluster.Addrs()), "--json")...)
	wantMatch(t, status.expectCode(exitNoQuorum), `"name": "backup",\n  "state": "unknown",`)
}

func TestListShowsTheLocksWithAPrefix(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, n := range cluster.Nodes() {
		n.Hold("app:backup", "rl1:00000000000000000000000000000000:host-7", 0)
		n.Hold("app:\x1b[2J", "rl1:00000000000000000000000000000000:host-8", time.Hour)
		n.Hold("app:data", "42", time.Hour)
		n.Hold("other", "rl1:00000000000000000000000000000000:host-7", 0)
	}
	cluster.Node(0).Hold("app:left", "rl1:00000000000000000000000000000000:host-9", 0)
	args := []string{"list"}
	for _, addr := range cluster.Addrs() {
		args = append(args, "--node", "redis://"+addr)
	}
	wantMatch(t, start(t, append(args, "app:")...).expectCode(0), `^NAME +HOLDER +FOR +NODES +WAIT
"app:\\x1b\[2J" +host-8 +(1h0m0s|59m.*s) +3 of 3 +0
app:backup +host-7 +for ever +3 of 3 +0
app:left +nobody +- +2 of 3 free +0\n$`)
	wantMatch(t, start(t, append(args, "--prefix", "app:")...).expectCode(0), `\nbackup +host-7`)
	wantMatch(t, start(t, args...).expectCode(0), `\nother +host-7`)
	wantMatch(t, start(t, append(args, "none")...).expectCode(0), `^NAME  HOLDER  FOR  NODES  WAIT\n$`)
	cluster.Node(0).Stop()
	cluster.Node(1).Stop()
	p := start(t, append(args, "app:")...)
	p.expectCode(exitNoQuorum)
	p.expectSaid(`redlock list: "app:": no quorum`)
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
	cluster.Node(0).Stop()
	cluster.Node(2).Stop()
	said := watch.line()
	wantMatch(t, said, `  unknown: no majority says who holds "backup": 1 of 3 nodes answered; node 127\.0\.0\.1:\d+: .*connection refused .*; node 127\.0\.0\.1:\d+: .*connection refused `)
	for _, word := range []string{"redlock:", "inspect", "quorum", "agreed"} {
		if strings.Contains(said, word) {
			t.Errorf("it speaks of %q: %s", word, said)
		}
	}
	watch.signal(syscall.SIGTERM)
	watch.expectCode(0)
}

func TestLookingTakesNoBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"status"}, {"status", "x"}, {"watch", "x", "--node", "host"}, {"status", "", "--node", "redis://r"},
		{"status", "x", "--node", "redis://r", "--node-timeout", "0s"}, {"watch", "{x}:queue", "--node", "redis://r"},
		{"list"}, {"list", "--node", "host"}, {"release", "x", "--force"}, {"release", "x", "--node", "redis://r"}, {"release", "", "--force", "--node", "redis://r"},
		{"status", "x", "--node", "redis://r", "--quiet", "--json"},
	} {
		p := start(t, args...)
		p.cmd.Env = append(p.cmd.Env, "REDLOCK_NODES=")
		if code, out := p.end(); code != exitUsage || out != "" {
			t.Errorf("%q: exit code %d, output %q, stderr:\n%s", args, code, out, p.stderr.String())
		}
		if said := p.stderr.String(); !strings.Contains(said, args[0]) && !strings.Contains(said, "--help") { // the parser's own

			t.Errorf("%q: it does not name the command:\n%s", args, said)
		}
	}
}

// Processes on five real servers, first come first served; one of the waiters is
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
		args := append([]string{"run", "--name", lockName, "--ttl", "8s", "--node-timeout", "2s", "--fair"}, flags...)
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
			if strings.Contains(status, fmt.Sprintf("; %d wait\n", i+1)) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("number %d is not in the wait queue: %s", i, status)
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
