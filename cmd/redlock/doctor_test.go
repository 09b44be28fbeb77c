package main

import (
	"encoding/json"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// doctorArgs are the arguments of "redlock doctor" on these servers.
func doctorArgs(credentials string, servers []*redisproc.Server, flags ...string) []string {
	args := append([]string{"doctor"}, flags...)
	for _, s := range servers {
		args = append(args, "--node", "redis://"+credentials+s.Addr())
	}
	return args
}

// unwrapped is a report with each text in one line.
func unwrapped(out string) string { return regexp.MustCompile(`\n {26}`).ReplaceAllString(out, " ") }

func startServers(t *testing.T, n int, args ...string) (all []*redisproc.Server) {
	for range n {
		all = append(all, redisproc.Start(t, redisproc.Options{Args: args}))
	}
	return all
}

func TestDoctorFindsNothingOnHealthyServers(t *testing.T) {
	t.Parallel()
	all := startServers(t, 3, "--appendonly", "yes", "--appendfsync", "always")
	out := unwrapped(start(t, doctorArgs("", all, "--ttl", "1m")...).expectCode(0))
	for _, s := range all {
		wantMatch(t, out, `(?m)^`+regexp.QuoteMeta(s.Addr())+`\n(  note .*\n)*  note     summary      version .*role master.*a test lock was taken by .*clock rate`)
	}
	wantMatch(t, out, `\nnodes: 3, errors: 0, warnings: 0, notes: \d+\n$`)
}

func TestDoctorSaysWhatIsWrongWithTheRemedyAndEndsWithItsCode(t *testing.T) {
	t.Parallel()
	all := startServers(t, 3)
	out := unwrapped(start(t, doctorArgs("", all)...).expectCode(exitDoubtful))
	wantMatch(t, out, `^`+regexp.QuoteMeta(all[0].Addr()+", "+all[1].Addr()+", "+all[2].Addr())+`\n  warning `)
	wantMatch(t, out, `(?m)^  warning  persistence  nothing is persisted\n {24}endangers exclusion: .*\n {24}remedy: CONFIG SET appendonly yes`)

	if _, err := all[1].Do("REPLICAOF", "127.0.0.1", strconv.Itoa(all[0].Port)); err != nil {
		t.Fatal(err)
	}
	all[2].Kill()
	out = unwrapped(start(t, doctorArgs("", all)...).expectCode(exitUnsafe))
	wantMatch(t, out, regexp.QuoteMeta(all[1].Addr())+`\n  error    role         it is a replica\n`)
	wantMatch(t, out, regexp.QuoteMeta(all[2].Addr())+`\n  error    reachable    .*connection refused\n.*\n {24}remedy: start the server`)
	wantMatch(t, out, `\nnodes: 3, errors: 2, warnings: \d+, notes: \d+\n$`)
}

func TestDoctorWritesJSONWithNamesThatStay(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	for _, rule := range [][]string{{"ACL", "SETUSER", "app", "on", ">s3cret", "resetchannels", "~*", "+@all", "-publish"}, {"CONFIG", "SET", "requirepass", "s3cret"}} {
		if _, err := all[0].Do(rule...); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, doctorArgs("app:s3cret@", all, "--json", "--prefix", "app:", "--fair")...)
	out := p.expectCode(exitUnsafe)
	var report map[string]any
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	findings, _ := report["findings"].([]any)
	if report["worst"] != "error" || len(report) != 2 || len(findings) < 2 {
		t.Fatalf("got %s", out)
	}
	first, _ := findings[0].(map[string]any)
	for name, want := range map[string]string{"severity": "error", "check": "rights", "node": all[0].Addr(), "seen": "PUBLISH", "endangers": "WithFair", "remedy": "&{app:*}:wake*"} {
		if got, _ := first[name].(string); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q in it", name, got, want)
		}
	}
	if len(first) != 6 || strings.Contains(out+p.stderr.String(), "s3cret") || !strings.Contains(out, "&{app:*}") {
		t.Errorf("got %s", out)
	}
}

func TestDoctorShowsNoPasswordThatIsWrong(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1, "--requirepass", "right")
	for _, flags := range [][]string{nil, {"--json"}} {
		p := start(t, doctorArgs("app:s3cret@", all, flags...)...)
		out := p.expectCode(exitUnsafe)
		wantMatch(t, out, `WRONGPASS`)
		if strings.Contains(out+p.stderr.String(), "s3cret") {
			t.Errorf("got %s", out)
		}
	}
}

func TestDoctorOnServersInMemoryThatSayLittle(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	args := []string{"doctor"}
	for _, addr := range cluster.Addrs() {
		args = append(args, "-n", "redis://"+addr)
	}
	code, out := start(t, args...).end()
	if code != exitDoubtful && code != 0 {
		t.Errorf("exit code %d", code)
	}
	wantMatch(t, out, `\nnodes: 3, errors: 0, `)
}

func TestDoctorTakesNoBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"doctor"}, {"doctor", "--node", "host"}, {"doctor", "x", "--node", "redis://r"}, {"doctor", "--node", "redis://r", "--ttl", "1ms"},
		{"doctor", "--node", "redis://r", "--node-timeout", "-1s"}, {"doctor", "--node", "redis://r", "--node-timeout", "20s"},
	} {
		p := start(t, args...)
		p.cmd.Env = append(p.cmd.Env, "REDLOCK_NODES=")
		if code, out := p.end(); code != exitUsage || out != "" {
			t.Errorf("%q: exit code %d, output %q, stderr:\n%s", args, code, out, p.stderr.String())
		}
	}
}

func TestDoctorEndsWithASignal(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := start(t, "doctor", "--node", "redis://"+silent.Addr().String(), "--ttl", "1h", "--node-timeout", "20m")
	conn, err := silent.Accept() // so it is at work
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p.signal(syscall.SIGTERM)
	if out := p.expectCode(exitSignal + int(syscall.SIGTERM)); out != "" {
		t.Errorf("output %q", out)
	}
	p.expectSaid("context canceled (terminated)")
}

func TestDoctorSaysWhatTheGuardDoes(t *testing.T) {
	t.Parallel()
	all := startServers(t, 3, "--appendonly", "yes", "--appendfsync", "always")
	run := []string{"run", "--guard", "20s", "--name", "job"}
	for _, s := range all {
		run = append(run, "--node", "redis://"+s.Addr())
	}
	start(t, append(run, "--", "true")...).expectCode(exitNoQuorum)
	out := unwrapped(start(t, doctorArgs("", all, "--guard", "20s")...).expectCode(exitUnsafe))
	wantMatch(t, out, `(?m)^  error    guard        in quarantine for another 1\d\.\d+s: .*\n {24}endangers locking.*\n {24}remedy: wait; .* DEL redlock:quarantine`)
	wantMatch(t, unwrapped(start(t, doctorArgs("", all)...).expectCode(exitDoubtful)), `(?m)^  warning  guard        others guard restarts here.* in quarantine\n`)

	for _, s := range all {
		if _, err := s.Do("DEL", "redlock:quarantine"); err != nil {
			t.Fatal(err)
		}
	}
	start(t, doctorArgs("", all, "--guard", "20s")...).expectCode(0)
	wantMatch(t, unwrapped(start(t, doctorArgs("", all)...).expectCode(0)), `(?m)^  note     guard        others guard restarts here, with 3 nodes, a longest TTL of 20s.*\n {24}endangers exclusion.*\n {24}remedy: WithRestartGuard \(--guard\)`)

	out = start(t, doctorArgs("", all, "--guard", "1m", "--json")...).expectCode(exitUnsafe)
	var report jsonReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	f := report.Findings[0]
	if f.Severity != "error" || f.Check != "guard" || f.Node != all[0].Addr() || !strings.Contains(f.Seen, "a longest TTL of 20s") || !strings.Contains(f.Remedy, "DEL redlock:node") {
		t.Errorf("got %+v", f)
	}
}
