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
	if seen, ok := p.hasLine(text); !ok {
		p.t.Fatalf("%q did not come; stderr:\n%s\nsince the line before:\n%s", text, p.stderr.String(), seen)
	}
}

// hasLine reads lines until one contains text, or there are no more.
func (p *process) hasLine(text string) (seen string, ok bool) {
	var all strings.Builder
	for {
		line, err := p.stdout.ReadString('\n')
		all.WriteString(line)
		if ok = strings.Contains(line, text); ok || err != nil {
			return all.String(), ok
		}
	}
}

func TestTheDemoShowsALockLostAndRegainedAndNeverTwoHolders(t *testing.T) {
	t.Parallel()
	p := start(t, "demo", "--duration", "20s")
	out := p.expectCode(0)
	for _, text := range []string{
		", valid ", "node 2 is stopped", "node 5 freezes", "node 2 is back with its data", "nodes 1, 2 and 4 freeze", "cannot renew",
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
	for _, text := range []string{"An election on the same masters", "observer: candidate-1 leads"} {
		if !strings.Contains(out, text) {
			t.Errorf("the election does not show %q:\n%s", text, out)
		}
	}
	if !strings.Contains(out, "3 leaders, one after the other: ") && !strings.Contains(out, "this machine seems too busy") {
		t.Errorf("the summary does not say how the election ended:\n%s", out)
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
	var p *process
	for try := 1; ; try++ { // on a busy machine the holder's renewal may always come first
		p = start(t, "demo", "--duration", "25s", "--sabotage")
		seen, ok := p.hasLine("both held the lock")
		if ok {
			break
		}
		if try == 3 {
			t.Fatalf("never two holders:\n%s", seen)
		}
		p.end()
	}
	p.signal(syscall.SIGINT)
	out := p.expectCode(exitTwoHolders)
	if !regexp.MustCompile(`[1-9][0-9]* moments? with two holders`).MatchString(out) || !strings.Contains(out, "did not stay inside") {
		t.Errorf("the summary is\n%s", out)
	}
}

func TestAnInterruptedDemoStillSumsUp(t *testing.T) {
	t.Parallel()
	p := start(t, "demo")
	p.awaitLine(", valid ")
	p.signal(syscall.SIGINT)
	if out := p.expectCode(130); !strings.Contains(out, "0 moments with two holders") {
		t.Errorf("the summary is\n%s", out)
	}
}
