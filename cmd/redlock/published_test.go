package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// pathArgs are the arguments of "redlock publish" or "redlock latest" for the path "config".
func pathArgs(verb string, addrs []string, args ...string) []string {
	look := lookArgs(verb, addrs)
	look[1] = "config"
	return append(look, args...)
}

func TestNotPublishedExpiredMissingOnANodeAndUnreachableAreFourAnswers(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	latest := pathArgs("latest", cluster.Addrs())
	asJSON := append(latest, "--json")
	publish := func(args ...string) *process {
		return start(t, pathArgs("publish", cluster.Addrs(), args...)...)
	}
	wantMatch(t, start(t, latest...).expectCode(exitNotHeld), `^nothing was published at "config"\n$`)
	wantMatch(t, start(t, asJSON...).expectCode(exitNotHeld), `"state": "none",\n  "version": "",\n`)

	wantMatch(t, publish("one", "--retention", "10ms").expectCode(0), `^"config" is published, version \d{16}\.0, kept for 10ms\n$`)
	time.Sleep(20 * time.Millisecond)
	wantMatch(t, start(t, latest...).expectCode(exitExpired), `^the last value of "config" has expired, version \d{16}\.0\n$`)
	wantMatch(t, start(t, asJSON...).expectCode(exitExpired), `"state": "expired",\n  "version": "\d`)

	wantMatch(t, publish("two", "--forever").expectCode(0), `, kept for ever\n$`)
	if err := cluster.Node(0).StartEmpty(); err != nil {
		t.Fatal(err)
	}
	cluster.Node(1).Stop()
	wantMatch(t, start(t, latest...).expectCode(0), `^"config" is "two", version \d{16}\.0, kept for ever; missing on `+cluster.Node(0).Addr()+`\n$`)
	wantMatch(t, start(t, latest...).expectCode(0), `^"config" is "two", version \d{16}\.0, kept for ever\n$`) // it was stored there again

	cluster.Node(2).Stop()
	p := start(t, latest...)
	if out := p.expectCode(exitNoQuorum); out != "" {
		t.Errorf("it writes %q", out)
	}
	wantMatch(t, p.stderr.String(), `^redlock latest: "config": no quorum: 1 of 3 nodes agreed, 2 needed; node 127\.\S+: .*connection refused.*start the server`)
	wantMatch(t, start(t, asJSON...).expectCode(exitNoQuorum), `(?s)"state": "unknown",.*"error": ".*no quorum`)
	p = publish("three")
	p.expectCode(exitNoQuorum)
	p.expectSaid("publish it again")
	p.expectSaid(`redlock publish: "config": no quorum`)
}

func TestValuesOfOthersDoNotReachATerminalAsTheyAreAndNothingIsLost(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	latest := func(flags ...string) string {
		return start(t, pathArgs("latest", cluster.Addrs(), flags...)...).expectCode(0)
	}
	for value, encoding := range map[string]string{
		"plain": "utf-8", "": "utf-8", "größe 👍": "utf-8", "a\x1b[2Jb\nc\x00": "utf-8",
		"\xff\xfe": "base64", "csi \u009b2J": "base64", "del \x7f": "base64", strings.Repeat("\x00", board.MaxValue): "utf-8",
	} {
		p := start(t, pathArgs("publish", cluster.Addrs(), "-")...)
		if _, err := p.stdin.Write([]byte(value)); err != nil {
			t.Fatal(err)
		}
		_ = p.stdin.Close()
		p.expectCode(0)
		if out := latest("--raw"); out != value {
			t.Errorf("--raw writes %.40q, want %.40q", out, value)
		}
		asJSON := latest("--json")
		for _, out := range []string{latest(), asJSON} {
			if regexp.MustCompile(`[^\P{Cc}\n]|\x{FFFD}`).MatchString(out) {
				t.Errorf("%.40q is written as %.100q", value, out)
			}
		}
		var got struct{ Value, Encoding string }
		if err := json.Unmarshal([]byte(asJSON), &got); err != nil {
			t.Fatal(err)
		}
		if got.Encoding == "base64" {
			decoded, err := base64.StdEncoding.DecodeString(got.Value)
			if err != nil {
				t.Error(err)
			}
			got.Value = string(decoded)
		}
		if got.Value != value || got.Encoding != encoding {
			t.Errorf("JSON has %.40q as %s, want %.40q as %s", got.Value, got.Encoding, value, encoding)
		}
	}
}

func TestAValueIsPublishedByteForByte(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	const odd = "a\xffb\x9b"
	start(t, pathArgs("publish", cluster.Addrs(), odd)...).expectCode(0)
	if out := start(t, pathArgs("latest", cluster.Addrs(), "--raw")...).expectCode(0); out != odd {
		t.Errorf("%q was published, want %q", out, odd)
	}
	start(t, pathArgs("publish", cluster.Addrs(), "--", "-5")...).expectCode(0)
	wantMatch(t, start(t, pathArgs("latest", cluster.Addrs())...).expectCode(0), `^"config" is "-5"`)
}

func TestAPathIsWatchedUntilASignal(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	lines := start(t, pathArgs("latest", cluster.Addrs(), "-w", "--json")...)
	text := start(t, pathArgs("latest", cluster.Addrs(), "--watch", "--node-timeout", "100ms")...)
	lines.expectLineMatch(`{"time":"[^"]*","path":"config","state":"none",.*}`)
	text.expectLineMatch(clock + `nothing was published at "config"`)
	for _, value := range []string{"one", "two"} {
		start(t, pathArgs("publish", cluster.Addrs(), value)...).expectCode(0)
		lines.expectLineMatch(`{"time":"[^"]*","path":"config","state":"published",.*"value":"` + value + `",.*}`)
		text.expectLineMatch(clock + `"config" is "` + value + `", version \d{16}\.0, kept for .*`)
	}
	cluster.Node(0).Stop()
	cluster.Node(1).Stop()
	text.expectLineMatch(clock + `unknown: no majority says what is published at "config": 1 of 3 nodes answered; .*`)
	for _, p := range []*process{lines, text} {
		p.signal(syscall.SIGTERM)
		p.expectCode(0)
	}
}

// expectLineMatch reads a line.
func (p *process) expectLineMatch(pattern string) string {
	p.t.Helper()
	line := p.line()
	if !regexp.MustCompile("^" + pattern + "$").MatchString(line) {
		p.t.Fatalf("the command wrote %q, want %s; stderr:\n%s", line, pattern, p.stderr.String())
	}
	return line
}

// clock is how a line of --watch begins.
const clock = `\d\d:\d\d:\d\d\.\d{3}  `

func TestWhatCannotBePublishedIsRefusedInTheWordsOfTheCommandLine(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 1)
	for want, args := range map[string][]string{
		`redlock publish: --retention 1ms: must be at least 10ms and at most 87600h0m0s, or --forever`: {"x", "--retention", "1ms"},
		`redlock publish: "config": the value has 65537 bytes, at most 65536 are allowed`:              {strings.Repeat("x", board.MaxValue+1)},
		`redlock publish: --retention and --forever can't be used together`:                            {"x", "--retention", "1m", "--forever"},
	} {
		p := start(t, pathArgs("publish", cluster.Addrs(), args...)...)
		p.expectCode(exitUsage)
		p.expectSaid(want)
	}
	long := start(t, pathArgs("publish", cluster.Addrs(), "-")...)
	_, _ = long.stdin.Write(make([]byte, board.MaxValue+1))
	_ = long.stdin.Close()
	long.expectCode(exitUsage)
	long.expectSaid(`"config": the value on the standard input has more than 65536 bytes`)
	for _, verb := range [][]string{{"publish", "", "x"}, {"latest", ""}} {
		p := start(t, append(verb, "--node", "redis://"+cluster.Addrs()[0])...)
		p.expectCode(exitUsage)
		p.expectSaid("redlock " + verb[0] + ": the path must not be empty")
	}
	start(t, pathArgs("latest", cluster.Addrs())...).expectCode(exitNotHeld)
}

func TestMastersInMemoryAreSharedByAllCommandsWithEmbedded(t *testing.T) {
	t.Parallel()
	first, err := strconv.Atoi(freePorts())
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(portVariable, "=", first)
	sharing := func(args ...string) *process {
		cmd := command(args...)
		cmd.Env = append(cmd.Env, port)
		return startCommand(t, cmd)
	}
	beginning, err := redlocktest.StartAt(first, embeddedNodes-1) // the last one is still to come
	if err != nil {
		t.Fatal(err)
	}
	p := sharing("status", "--embedded", "x")
	p.expectCode(exitNoQuorum)
	beginning.Close()
	p.expectSaid(`redlock status: --embedded: no masters in memory run on this machine: start "redlock masters" in another shell`)

	early := sharing("status", "--embedded", "x") // of a shell that has just started the masters
	masters := sharing("masters")
	masters.expectLineMatch(`five masters in memory run on 127\.0\.0\.1:\d+ to \d+ until they are interrupted`)
	early.expectCode(0)
	sharing("publish", "--embedded", "config", "one").expectCode(0)
	if out := sharing("latest", "--embedded", "--raw", "config").expectCode(0); out != "one" {
		t.Errorf("the latest value is %q", out)
	}
	holder := sharing("run", "--embedded", "--name", "x", "--owner", "host-7", "--", "sh", "-c", "echo ready; read line")
	holder.expectLine("ready")
	wantMatch(t, sharing("status", "--embedded", "x").expectCode(0), `^"x" is held by host-7 on `)
	_ = holder.stdin.Close()
	holder.expectCode(1)
	if said := holder.stderr.String(); said != "" {
		t.Errorf("it says %s", said)
	}
	second := sharing("masters")
	second.expectCode(exitSystem)
	second.expectSaid("address already in use: does another one run?")
	masters.signal(syscall.SIGTERM)
	masters.expectCode(0)

	wrong := command("masters")
	wrong.Env = append(wrong.Env, portVariable+"=65533")
	startCommand(t, wrong).expectCode(exitUsage)
	p = sharing("leader", "--embedded", "--node", "redis://r1", "x")
	p.expectCode(exitUsage)
	p.expectSaid("leave --node out")
	if os.Getenv(portVariable) == "" {
		t.Error("the tests would use the masters of whoever works here")
	}
}
