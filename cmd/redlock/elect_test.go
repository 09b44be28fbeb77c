//go:build unix

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlocktest"
)

const electionName = "web"

// electTTL is one that a busy machine can keep.
const electTTL = 5 * time.Second

// candidate are the arguments of a "redlock elect" of this owner, which proclaims "value of" it.
func candidate(addrs []string, owner string, command ...string) []string {
	args := []string{"elect", "--name", electionName, "--ttl", electTTL.String(), "--node-timeout", "1s", "--owner", owner, "--value", "value of " + owner}
	for _, addr := range addrs {
		args = append(args, "--node", "redis://"+addr)
	}
	return append(append(args, "--"), command...)
}

// leads are the arguments of a candidate without a command.
func leads(addrs []string, owner string) []string {
	args := candidate(addrs, owner)
	return args[:len(args)-1]
}

func leaderArgs(addrs []string, flags ...string) []string {
	args := lookArgs("leader", addrs)
	args[1] = electionName
	return append(args, flags...)
}

// servers are three real masters.
func servers(t *testing.T) (addrs []string) {
	t.Helper()
	for range 3 {
		addrs = append(addrs, redisproc.Start(t, redisproc.Options{}).Addr())
	}
	return addrs
}

// awaitWaiting waits until so many candidates wait.
func awaitWaiting(t *testing.T, addrs []string, n int) {
	t.Helper()
	args := lookArgs("status", addrs)
	args[1] = electionName
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		out := start(t, args...).expectCode(0)
		if strings.Contains(out, fmt.Sprintf("; %d wait\n", n)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %d candidates wait:\n%s", n, out)
		}
	}
}

func TestTheCommandOfALeaderHasItsTermAndTheLastValueOfTheLeaderBefore(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	const script = `echo "$REDLOCK_NAME $REDLOCK_OWNER ${REDLOCK_PREVIOUS-none} $REDLOCK_TOKEN"; exit 7`
	outer := func(args []string) *process { // of another election
		cmd := command(args...)
		cmd.Env = append(cmd.Env, previousVariable+"=outer", "REDLOCK_TOKEN=5")
		return startCommand(t, cmd)
	}
	first := outer(candidate(cluster.Addrs(), "a", "sh", "-c", script))
	line := first.expectLineMatch(`web a none \d{16}`)
	first.expectCode(7)
	start(t, leaderArgs(cluster.Addrs())...).expectCode(exitNotHeld) // it has resigned
	second := outer(candidate(cluster.Addrs(), "b", "sh", "-c", script))
	next := second.expectLineMatch(`web b value of a \d{16}`)
	second.expectCode(7)
	if term, before := next[len(next)-16:], line[len(line)-16:]; term <= before {
		t.Errorf("term %s comes after %s", term, before)
	}
}

func TestWithoutACommandItLeadsUntilItIsInterruptedAndSaysSo(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	a := start(t, leads(cluster.Addrs(), "a")...)
	_ = a.stdin.Close() // it reads no input
	a.expectLineMatch(`this process leads "web" with "value of a", term \d{16}`)
	b := start(t, leads(cluster.Addrs(), "b")...)
	awaitWaiting(t, cluster.Addrs(), 1)
	a.signal(syscall.SIGINT)
	if out := a.expectCode(0); out != "this process resigned: it leads \"web\" no more\n" {
		t.Errorf("it ends with %q", out)
	}
	b.expectLineMatch(`this process leads "web" with "value of b", term \d{16}; the last value before was "value of a"`)
	b.signal(syscall.SIGTERM)
	b.expectCode(0)
	if said := a.stderr.String() + b.stderr.String(); said != "" {
		t.Errorf("stderr: %s", said)
	}
}

func TestACandidateThatIsInterruptedIsNotElected(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	a := start(t, leads(cluster.Addrs(), "a")...)
	a.expectLineMatch(`this process leads.*`)
	b := start(t, candidate(cluster.Addrs(), "b", "echo", "ran")...)
	awaitWaiting(t, cluster.Addrs(), 1)
	b.signal(syscall.SIGTERM)
	if out := b.expectCode(128 + int(syscall.SIGTERM)); out != "" {
		t.Errorf("its command ran: %q", out)
	}
	b.expectSaid(`redlock elect: terminated while campaigning for "web"`)
	awaitWaiting(t, cluster.Addrs(), 0)
	a.signal(syscall.SIGINT)
	a.expectCode(0)
}

func TestACandidateThatDoesNotWaitForeverIs75AndNamesTheLeader(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	a := start(t, leads(cluster.Addrs(), "a")...)
	a.expectLineMatch(`this process leads.*`)
	for _, wait := range []string{"0s", "300ms"} {
		b := start(t, with(candidate(cluster.Addrs(), "b", "echo", "ran"), "--wait", wait)...)
		if out := b.expectCode(exitNotAcquired); out != "" {
			t.Errorf("its command ran: %q", out)
		}
		within := ""
		if wait != "0s" {
			within = " within --wait 300ms"
		}
		wantMatch(t, b.stderr.String(), `^redlock elect: "web": not elected`+within+`: taken by a on [23] of 3 nodes\n$`)
	}
	quiet := start(t, with(candidate(cluster.Addrs(), "b", "echo", "ran"), "--wait", "0s", "-q", "-E", "0")...)
	if out := quiet.expectCode(0) + quiet.stderr.String(); out != "" {
		t.Errorf("with -q it says %q", out)
	}
	a.signal(syscall.SIGINT)
	a.expectCode(0)
}

func TestACandidateSaysOnceThatNoMajorityAnswersAndGoesOn(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	cluster.Node(0).Stop()
	cluster.Node(1).Stop()
	p := start(t, candidate(cluster.Addrs(), "a", "echo", "ran")...)
	for deadline := time.Now().Add(patience); !strings.Contains(p.stderr.String(), "no majority answers"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it says nothing: %s", p.stderr.String())
		}
	}
	time.Sleep(time.Second) // some more attempts
	if err := cluster.Node(0).Start(); err != nil {
		t.Fatal(err)
	}
	p.expectLine("ran")
	p.expectCode(0)
	wantMatch(t, p.stderr.String(), `^redlock elect: warning: no majority answers the campaign for "web", which goes on: .*connection refused.*\n$`)
}

func TestALostLeadershipEndsTheCommandWithSIGTERMAndIs79(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, with(candidate(cluster.Addrs(), "a", "sh", "-c", `trap "echo terminated; exit 0" TERM; echo ready; while :; do sleep 0.01; done`), "--grace", "25s")...)
	p.expectLine("ready")
	takeMajority(cluster)
	p.expectLine("terminated")
	p.expectCode(exitLost)
	p.expectSaid(`the leadership of "web" was lost: lock expired`)
	p.expectSaid("the leadership was lost; the command ended with exit code 0")
}

func TestALeaderThatIsKilledIsFollowedByTheNextAndAnObserverSeesEachChange(t *testing.T) {
	t.Parallel()
	addrs := servers(t)
	observer := start(t, leaderArgs(addrs, "--watch")...)
	observer.expectLineMatch(clock + `nobody leads "web"`)
	a := start(t, candidate(addrs, "a", "sh", "-c", `sleep 1000 & echo $!; wait`)...)
	grandchild := a.line()
	observer.expectLineMatch(clock + `"web" is led by a with "value of a", term \d{16}`)
	b := start(t, candidate(addrs, "b", "sh", "-c", `echo "after $REDLOCK_PREVIOUS"; read line`)...)
	awaitWaiting(t, addrs, 1)

	a.signal(syscall.SIGKILL)
	a.end()
	a.expectEnded(grandchild)
	b.expectLine("after value of a")
	// A change may come before the last one is read: so "nobody" may be left out.
	seen := observer.expectLineMatch(clock + `(nobody leads "web"|"web" is led by b with "value of b", term \d{16})`)
	if strings.HasSuffix(seen, `nobody leads "web"`) {
		observer.expectLineMatch(clock + `"web" is led by b with "value of b", term \d{16}`)
	}
	_ = b.stdin.Close()
	b.expectCode(1) // of read, at the end of its input
	observer.expectLineMatch(clock + `nobody leads "web"`)
	observer.signal(syscall.SIGTERM)
	observer.expectCode(0)
}

// The processes are stopped with SIGSTOP for two TTLs: what they know is outdated when they wake.
func TestALeaderThatWasStoppedForTwoTTLsDoesNotSayThatItLeadsAndEndsItsCommand(t *testing.T) {
	t.Parallel()
	addrs := servers(t)
	for name, args := range map[string][]string{
		"with a command": with(candidate(addrs, "a", "sh", "-c", `trap "echo terminated; exit 0" TERM; echo leads; while :; do sleep 0.01; done`), "--grace", "25s"),
		"without":        leads(addrs, "a"),
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t, args...)
			a.expectLineMatch(`.*leads.*`)
			b := start(t, leads(addrs, "b")...)
			awaitWaiting(t, addrs, 1)
			a.signal(syscall.SIGSTOP)
			stopped := time.Now()
			b.expectLineMatch(`this process leads "web" with "value of b", term \d{16}; the last value before was "value of a"`)
			time.Sleep(time.Until(stopped.Add(2 * electTTL)))
			a.signal(syscall.SIGCONT)
			out := a.expectCode(exitLost)
			if want := map[string]string{"with a command": "terminated\n", "without": ""}[name]; out != want {
				t.Errorf("after it woke it wrote %q, want %q", out, want)
			}
			a.expectSaid(`the leadership of "web" was lost: lock expired`)
			wantMatch(t, start(t, leaderArgs(addrs)...).expectCode(0), `^"web" is led by b with `)
			b.signal(syscall.SIGINT)
			b.expectCode(0)
		})
	}
}

func TestACandidateThatWasStoppedForTwoTTLsIsElectedOnlyAfterTheLeaderOfThatTime(t *testing.T) {
	t.Parallel()
	addrs := servers(t)
	a := start(t, leads(addrs, "a")...)
	a.expectLineMatch(`this process leads.*`)
	b := start(t, leads(addrs, "b")...)
	awaitWaiting(t, addrs, 1)
	c := start(t, leads(addrs, "c")...)
	awaitWaiting(t, addrs, 2)
	b.signal(syscall.SIGSTOP)
	stopped := time.Now()
	a.signal(syscall.SIGINT)
	a.expectCode(0)
	c.expectLineMatch(`this process leads "web" with "value of c", .*`) // b is the next one, and does not ask
	time.Sleep(time.Until(stopped.Add(2 * electTTL)))
	b.signal(syscall.SIGCONT)
	awaitWaiting(t, addrs, 1) // it campaigns
	c.signal(syscall.SIGINT)
	c.expectCode(0)
	b.expectLineMatch(`this process leads "web" with "value of b", term \d{16}; the last value before was "value of c"`)
	b.signal(syscall.SIGINT)
	b.expectCode(0)
}

func TestTheExitCodeOfLeaderTellsNobodyAndUnknownApart(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	wantMatch(t, start(t, leaderArgs(cluster.Addrs())...).expectCode(exitNotHeld), `^nobody leads "web"\n$`)
	a := start(t, leads(cluster.Addrs(), "a")...)
	a.expectLineMatch(`this process leads.*`)
	wantMatch(t, start(t, leaderArgs(cluster.Addrs())...).expectCode(0), `^"web" is led by a with "value of a", term \d{16}\n$`)
	wantMatch(t, start(t, leaderArgs(cluster.Addrs(), "--json")...).expectCode(0), `^{
  "name": "web",
  "state": "leads",
  "holder": "a",
  "term": \d{16},
  "seq": 0,
  "value": "value of a",
  "encoding": "utf-8",
  "confirmed": true,
  "error": ""
}\n$`)
	a.signal(syscall.SIGINT)
	a.expectCode(0)
	wantMatch(t, start(t, leaderArgs(cluster.Addrs(), "--json")...).expectCode(exitNotHeld), `"state": "none",`)
	takeMajority(cluster)
	p := start(t, leaderArgs(cluster.Addrs())...)
	if out := p.expectCode(exitNoQuorum); out != "" {
		t.Errorf("it writes %q", out)
	}
	wantMatch(t, p.stderr.String(), `^redlock leader: "web": no quorum: 1 of 3 nodes agreed, 2 needed; node 127\.\S+: .*connection refused.*start the server`)
	wantMatch(t, start(t, leaderArgs(cluster.Addrs(), "--json")...).expectCode(exitNoQuorum), `(?s)"state": "unknown",.*"error": ".*no quorum`)
	watch := start(t, leaderArgs(cluster.Addrs(), "--watch", "--node-timeout", "100ms")...)
	watch.expectLineMatch(clock + `unknown: no majority says who leads "web": 1 of 3 nodes answered; .*connection refused.*`)
	watch.signal(syscall.SIGINT)
	watch.expectCode(0)
}
