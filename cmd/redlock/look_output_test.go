package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

func TestTheTableOfLocksSaysWhatEachIs(t *testing.T) {
	found := redlock.Listing{Locks: []redlock.State{
		{Name: "held", Holder: "web-1:4711", Nodes: 2, Total: 3, TTL: 1500 * time.Millisecond, Waiting: 4},
		{Name: "free", Nodes: 2, Total: 3},
		{Name: "torn", Nodes: 1, Total: 3, Blocked: time.Minute},
		{Name: "torn for ever", Nodes: 1, Total: 3, Blocked: -1},
		{Name: "unclear", Nodes: 1, Total: 3, Unclear: true, Waiting: 1},
	}}
	const want = `NAME             HOLDER             FOR       NODES        WAIT
held             web-1:4711         1.5s      2 of 3       4
free             nobody             -         2 of 3 free  0
torn             nobody can get it  1m0s      1 of 3 free  0
"torn for ever"  nobody can get it  for ever  1 of 3 free  0
unclear          unknown            -         1 of 3       1
`
	var b strings.Builder
	if err := writeList(&b, found); err != nil || b.String() != want {
		t.Errorf("got\n%s\nwant\n%s\n%v", b.String(), want, err)
	}
	states := []string{}
	for _, l := range newList(found).Locks {
		states = append(states, l.State)
	}
	if got := strings.Join(states, " "); got != "held free blocked blocked unknown" {
		t.Errorf("in JSON they are %s", got)
	}
}

func TestTheLinesOfAStatusSayWhatEachNodeSays(t *testing.T) {
	failed := &redlock.NodeError{Node: "r10:6379", Err: errors.New("one thing\nanother <of redis://user:s3cret@r10>")}
	nodes := []redlock.NodeState{
		{Node: "r1:6379", Holder: "web-1:4711", TTL: 2 * time.Second},
		{Node: "r2:6379", Holder: "web-2:4711", TTL: -1},
		{Node: "r10:6379", Err: failed},
	}
	const want = `it is unknown who holds "backup": 2 of 3 nodes answered
  r1:6379   held by web-1:4711, for 2s
  r2:6379   held by web-2:4711, for ever
  r10:6379  unknown: one thing; another <of redis://***@r10>
`
	var b strings.Builder
	if err := writeStatus(&b, "backup", redlock.State{}, nodes, failed); err != nil || b.String() != want {
		t.Errorf("got\n%s\nwant\n%s\n%v", b.String(), want, err)
	}
	for name, write := range map[string]func(io.Writer, any) error{"indented": writeIndented, "a line": writeLine} {
		b.Reset()
		if err := write(&b, newStatus("backup", redlock.State{}, nodes, failed)); err != nil {
			t.Error(err)
		}
		text := strings.ReplaceAll(b.String(), ": ", ":")
		for _, part := range []string{`"name":"backup"`, `"state":"unknown"`, `"total":3`, `"error":"one thing\nanother <of redis://***@r10>"`, `"error":"node r10:6379:one thing`} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %s in\n%s", name, part, text)
			}
		}
		if strings.Contains(text, "s3cret") {
			t.Errorf("%s: a password in\n%s", name, text)
		}
	}
}

func TestAListOfNoLocksIsAnEmptyListInJSON(t *testing.T) {
	var b strings.Builder
	if err := writeLine(&b, newList(redlock.Listing{})); err != nil || b.String() != `{"locks":[],"failed":[]}`+"\n" {
		t.Errorf("it is %s, %v", b.String(), err)
	}
}

func TestOutputThatIsNotReadIsAnError(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full")
	}
	defer full.Close()
	cluster := redlocktest.New(t, 3)
	for _, verb := range []string{"status", "list", "watch"} {
		cmd := command(lookArgs(verb, cluster.Addrs())...)
		cmd.Stdout = full
		watchdog := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Run()
		watchdog.Stop()
		if code := cmd.ProcessState.ExitCode(); code != exitSystem {
			t.Errorf("%s: exit code %d", verb, code)
		}
	}
}
