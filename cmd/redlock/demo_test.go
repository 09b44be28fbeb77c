package main

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// awaitLine reads lines until one contains text.
func (p *process) awaitLine(text string) {
	p.t.Helper()
	var seen strings.Builder
	for {
		line, err := p.stdout.ReadString('\n')
		seen.WriteString(line)
		switch {
		case strings.Contains(line, text):
			return
		case err != nil:
			p.t.Fatalf("%q did not come: %v; stderr:\n%s\nsince the line before:\n%s", text, err, p.stderr.String(), seen.String())
		}
	}
}

func TestTheDemoShowsALockLostAndRegainedAndNeverTwoHolders(t *testing.T) {
	t.Parallel()
	p := start(t, "demo", "--duration", "20s")
	out := p.expectCode(0)
	for _, text := range []string{
		"held by worker-", "node 2 is stopped", "node 5 freezes", "node 2 is back with its data", "nodes 1, 2 and 4 freeze", "cannot renew",
		"lost the lock", "nodes 1, 2 and 4 thaw", "has the lock", "node 4 is back without its data",
	} {
		if !strings.Contains(out, text) {
			t.Errorf("it does not tell that %q:\n%s", text, out)
		}
	}
	if !regexp.MustCompile(`(?m)^[1-9][0-9]* locks granted, [1-9][0-9]* lost and regained, 0 moments with two holders\.$`).MatchString(out) {
		t.Errorf("the summary is\n%s", out)
	}
	for _, text := range []string{"stayed inside the assumptions", "No node has a key of the lock left."} {
		if !strings.Contains(out, text) {
			t.Errorf("the summary does not say %q:\n%s", text, out)
		}
	}
	if said := p.stderr.String(); said != "" {
		t.Errorf("stderr: %s", said)
	}
	if strings.ContainsRune(out, '\x1b') {
		t.Errorf("escapes where stdout is no terminal: %q", out)
	}
}

func TestTheDemoIsOneWhenNodesForgetAndTwoHoldTheLock(t *testing.T) {
	t.Parallel()
	p := start(t, "demo", "--duration", "25s", "--sabotage")
	p.awaitLine("both held the lock")
	p.signal(syscall.SIGINT)
	out := p.expectCode(exitTwoHolders)
	if !regexp.MustCompile(`[1-9][0-9]* moments? with two holders`).MatchString(out) || !strings.Contains(out, "did not stay inside") {
		t.Errorf("the summary is\n%s", out)
	}
}

func TestAnInterruptedDemoStillSumsUp(t *testing.T) {
	t.Parallel()
	p := start(t, "demo")
	p.awaitLine("held by worker-")
	p.signal(syscall.SIGINT)
	if out := p.expectCode(130); !strings.Contains(out, "0 moments with two holders") {
		t.Errorf("the summary is\n%s", out)
	}
}
