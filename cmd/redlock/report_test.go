package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/quorumlock/quorumlock/redlock"
)

var reported = []redlock.Finding{
	{Severity: redlock.SeverityError, Check: "role", Node: "r3:6379", Seen: "it is a replica", Remedy: "REPLICAOF NO ONE"},
	{Severity: redlock.SeverityWarning, Check: "persistence", Node: "r1:6379", Seen: "nothing is persisted", Endangers: "exclusion: a restart forgets all locks", Remedy: "CONFIG SET appendonly yes, CONFIG SET appendfsync always"},
	{Severity: redlock.SeverityWarning, Check: "persistence", Node: "r2:6379", Seen: "nothing is persisted", Endangers: "exclusion: a restart forgets all locks", Remedy: "CONFIG SET appendonly yes, CONFIG SET appendfsync always"},
	{Severity: redlock.SeverityNote, Check: "even", Seen: "there are 4 nodes"},
	{Severity: redlock.SeverityNote, Check: "summary", Node: "r1:6379", Seen: "role master"},
	{Severity: redlock.SeverityNote, Check: "summary", Node: "r2:6379", Seen: "role master"},
}

func report(t *testing.T, width int) string {
	t.Helper()
	var b strings.Builder
	if err := writeReport(&b, width, reported); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReportShowsWhatNodesHaveInCommonOnce(t *testing.T) {
	const want = `r3:6379
  error    role         it is a replica
                        remedy: REPLICAOF NO ONE
r1:6379, r2:6379
  warning  persistence  nothing is persisted
                        endangers exclusion: a restart forgets all locks
                        remedy: CONFIG SET appendonly yes, CONFIG SET
                          appendfsync always
  note     summary      role master
all nodes
  note     even         there are 4 nodes
nodes: 3, errors: 1, warnings: 2, notes: 3
`
	if got := report(t, 80); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReportKeepsToTheWidthOfTheTerminal(t *testing.T) {
	for _, width := range []int{30, 45, 60, 80, 200} {
		out := report(t, width)
		for line := range strings.Lines(out) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width && !strings.HasPrefix(line, "nodes: ") {
				t.Errorf("%d columns of %d: %q", n, width, line)
			}
		}
		if !strings.Contains(strings.Join(strings.Fields(out), " "), "remedy: CONFIG SET appendonly yes, CONFIG SET appendfsync always") {
			t.Errorf("words were broken:\n%s", out)
		}
	}
}

func TestReportCountsCharactersAndNotBytes(t *testing.T) {
	if got, want := wrap("", 0, 10, "ééééé ééé é"), "ééééé ééé\n  é\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
