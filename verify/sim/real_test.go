package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
)

func TestWithRealClientsAndScriptsNoRuleIsBroken(t *testing.T) {
	runs := uint64(150)
	if raceEnabled {
		runs = 75
	}
	defer steady()()
	f := work(t, options{runs: runs, workers: 1, seed: 1, real: true}, func(int) {})
	if f.Rule != "" {
		t.Errorf("%s", f.Story)
	}
	if f.Tally.Locks < int(runs) {
		t.Errorf("only %d locks were granted in %d runs", f.Tally.Locks, runs)
	}
	for _, fault := range []string{"a connection broke", "a node was down", "a node was frozen", "a reply was lost", "a request was lost", "event: die", "a node was in quarantine",
		"a set was granted", "a reader was let in", "a holder became a reader", "a permit was granted", "permits were held together",
		"a leader was elected", "a leader was read", "a value was proclaimed", "a value was published", "a value was read"} {
		if f.Tally.Did[fault] == 0 {
			t.Errorf("%q never happened", fault)
		}
	}
}

func TestCommandsAreCutOffWhereverTheBytesAreCut(t *testing.T) {
	all := []byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n")
	want := [][]any{{"SET", "k", "a\r\nb"}, {"PING"}, {"GET", ""}}
	for cut := range len(all) + 1 {
		var got [][]any
		var half []byte
		for _, part := range [][]byte{all[:cut], all[cut:]} {
			half = append(half, part...)
			for {
				args, rest, err := cutCommand(half)
				if err != nil {
					t.Fatal(err)
				}
				if args == nil {
					break
				}
				got, half = append(got, args), rest
			}
		}
		if !reflect.DeepEqual(got, want) || len(half) != 0 {
			t.Errorf("cut after %d bytes: %q, and %q is left", cut, got, half)
		}
	}
	if _, _, err := cutCommand([]byte("GET k\r\n")); err == nil {
		t.Error("a line is taken for a command")
	}
}

func TestRepliesAreWrittenInBothVersionsOfTheProtocol(t *testing.T) {
	for _, each := range []struct {
		reply         any
		second, third string
	}{
		{nil, "$-1|", "_|"},
		{int64(-2), ":-2|", ":-2|"},
		{"", "$0||", "$0||"},
		{status("OK"), "+OK|", "+OK|"},
		{pool.Error("NOSCRIPT No"), "-NOSCRIPT No|", "-NOSCRIPT No|"},
		{[]any{"a", nil, []any{int64(1)}}, "*3|$1|a|$-1|*1|:1|", "*3|$1|a|_|*1|:1|"},
		{push{"message", "c", "m"}, "*3|$7|message|$1|c|$1|m|", ">3|$7|message|$1|c|$1|m|"},
	} {
		for third, want := range map[bool]string{false: each.second, true: each.third} {
			if got := strings.ReplaceAll(string(appendReply(nil, each.reply, third)), "\r\n", "|"); got != want {
				t.Errorf("%v, third %t: %q, want %q", each.reply, third, got, want)
			}
		}
	}
}
