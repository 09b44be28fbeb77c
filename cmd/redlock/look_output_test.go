package main

import (
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
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
