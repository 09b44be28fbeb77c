package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool/direct"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

func TestWrongUsageIsReportedInTheWordsOfTheCommandLine(t *testing.T) {
	t.Setenv(nodesVariable, "")
	for _, c := range []struct {
		args []string
		want string // how the first line begins
	}{
		{[]string{"--node", "localhost", "--", "echo"}, `node 1: "localhost" is not a URL: give it as redis://localhost`},
		{[]string{"--node", "r1:6379", "--", "echo"}, `node 1: "r1:6379" is not a URL: give it as redis://r1:6379`},
		{[]string{"--node", "user:s3cret@r1", "--", "echo"}, "node 1: not a URL: give it as redis://host:port; want redis://[user:password@]host[:port][/db], rediss://... for TLS, or unix://[user:password@]/path[?db=n]"},
		{[]string{"--node", "http://r1", "--", "echo"}, `node 1: "http://r1" is not the URL of a Redis server: want redis://[user:password@]host[:port][/db], rediss://... for TLS, or unix://[user:password@]/path[?db=n]`},
		{[]string{"--node", "redis://a,b", "--", "echo"}, "node 1: in a list each node is a whole URL: redis://a,redis://b"},
		{[]string{"--node", "redis://a,b:6379,redis://u:s3cret@c", "--", "echo"}, "node 1: in a list each node is a whole URL: redis://a,redis://b"},
		{[]string{"--node", "redis://u:s3cret@a,redis://u:s3cret@b,redis://a:6379", "--", "echo"}, "node 3 is node 1 once more"},
		{[]string{"--node", "redis://u:s3cret@r1/x", "--", "echo"}, "node 1: r1: the database must be a number from 0"},
		{[]string{"--node", "redis://u:s3cret@r1?max_retries=3", "--", "echo"}, "node 1: r1: an option after '?' is not one of db, client_name, dial_timeout, skip_verify"},
		{[]string{"--node", "redis://u:s3cret@r1?dial_timeout=soon", "--", "echo"}, "node 1: r1: dial_timeout must be seconds, or a duration with its unit, such as 500ms"},
		{[]string{"--node", "redis://u:s3cret@r1?skip_verify=true", "--", "echo"}, "node 1: r1: skip_verify is for rediss://"},
		{[]string{"--node", "redis://r1", "--tls-server-name", "r1", "--", "echo"}, "--tls-...: no node has TLS"},
		{[]string{"--node", "rediss://r1", "--tls-ca", "/no/such/file", "--", "echo"}, "--tls-ca: open /no/such/file"},
		{[]string{"--node", "rediss://r1", "--tls-ca", os.DevNull, "--", "echo"}, "--tls-ca: /dev/null has no certificate in PEM form"},
		{[]string{"--node", "rediss://r1", "--tls-key", os.DevNull, "--", "echo"}, "--tls-cert and --tls-key belong together"},
		{[]string{"--node", "redis://r1:65536", "--", "echo"}, "node 1: r1: the port must be 1 to 65535"},
		{[]string{"--node", "redis://r1", "--node", "redis://r2", "--node", "redis://u:s3cret@r1:6379/0", "--", "echo"}, "node 3 is node 1 once more, and a node that votes twice is no quorum: give each master once"},
		{[]string{"--embedded", "--ttl", "5", "--", "echo"}, `--ttl: "5" has no unit (for example 5s)`},
		{[]string{"--embedded", "--ttl", "1ms", "--", "echo"}, "--ttl 1ms: must be "},
		{[]string{"--embedded", "--node-timeout", "20s", "--", "echo"}, "--node-timeout 20s: must be "},
		{[]string{"--embedded", "--owner", "a): b\n", "--", "echo"}, `--owner "a): b\n": must be `},
		{[]string{"--embedded", "--"}, "give the command after --"},
	} {
		p := start(t, append([]string{"run", "--name", "x"}, c.args...)...)
		p.expectCode(exitUsage)
		first, _, _ := strings.Cut(p.stderr.String(), "\n")
		if !strings.HasPrefix(first, "redlock run: "+c.want) {
			t.Errorf("%q: it says\n%s\nand does not begin with\nredlock run: %s", c.args, first, c.want)
		}
	}
}

func TestANodeWithACommaInItsPasswordPathOrOptionIsOneNode(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"redis://:pa,ss@r1", "redis://u:p,w@r1:6379/0", "unix:///run/a,b", "redis://r1?client_name=a,b"} {
		if _, err := direct.FromURL(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestAValueThatMayHaveAPasswordIsNotShown(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"user:s3cret", "user:s3cret@r1", "r1:6380,password=s3cret", "r1?password=s3cret", "redis://:pa#s3cret@r1", "redis://:p@ss#s3cret@r1", "redis://user:1234/s3cret@r1", "http://user:s3cret", "http://r1/s3cret"} {
		if _, err := direct.FromURL(url); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestARefusalSaysOnceWhichLockAndWhy(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "rl1:0123456789abcdef:first", 0)
	}
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{nil, `redlock run: "backup" was not granted: taken by `},
		{[]string{"--wait", "500ms"}, `redlock run: "backup" was not granted within --wait 500ms: taken by `},
	} {
		p := start(t, with(lockArgs(cluster, "echo", "ran"), c.flags...)...)
		p.expectCode(exitNotAcquired)
		said := p.stderr.String()
		if !regexp.MustCompile(`^` + regexp.QuoteMeta(c.want) + `\S.* on [23] of 3 nodes\n`).MatchString(said) {
			t.Errorf("it says\n%s", said)
		}
		if strings.Count(said, "redlock") != strings.Count(said, "\n") || strings.Contains(said, "deadline") {
			t.Errorf("doubled prefixes or Go-speak:\n%s", said)
		}
	}
}

func TestTheReasonComesFirstAndThenWhatIsLeft(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, lockArgs(cluster, "sh", "-c", "echo ready; read line; exit 3")...)
	p.expectLine("ready")
	for _, node := range cluster.Nodes() { // one that was never reached has no pending release
		for held := false; !held; time.Sleep(time.Millisecond) {
			_, held = node.Get("backup")
		}
	}
	cluster.Node(0).Freeze()
	cluster.Node(1).Freeze()
	_ = p.stdin.Close()
	p.expectCode(3)
	said := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
	if len(said) != 2 || !strings.HasPrefix(said[0], `redlock run: warning: unlock "backup": no quorum: 1 of 3 nodes agreed, 2 needed; node `) ||
		!strings.HasPrefix(said[1], "redlock run: not every node confirmed the release; ") ||
		strings.Count(said[1], "releases not confirmed: 1;") != 2 {
		t.Errorf("it says\n%s", strings.Join(said, "\n"))
	}
}

func TestVerboseReportsTheGrantAndTheRelease(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, with(lockArgs(cluster, "true"), "-v")...)
	p.expectCode(0)
	want := regexp.MustCompile(`^redlock run: the lock "backup" was granted by [23] of 3 nodes so far, after [0-9.]+[mµ]?s
redlock run: the lock "backup" was released after [0-9.]+[mµ]?s
$`)
	if said := p.stderr.String(); !want.MatchString(said) {
		t.Errorf("it says\n%s", said)
	}
	quiet := start(t, lockArgs(cluster, "true")...)
	quiet.expectCode(0)
	if said := quiet.stderr.String(); said != "" {
		t.Errorf("without --verbose it says\n%s", said)
	}
}

func TestRemediesOfTheLibraryNameFlags(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"--tls-ca FILE":                  x509.UnknownAuthorityError{},
		"--tls-server-name NAME":         x509.HostnameError{},
		"--tls-cert FILE --tls-key FILE": errors.New("remote error: tls: certificate required"),
		"redis://":                       tls.RecordHeaderError{},
	} {
		remedy := node.Advice(err)
		var said bytes.Buffer
		slog.New(newJournal(log.New(&said, "", 0))).Warn("redlock: node fails", "remedy", remedy)
		found := findingWords([]redlock.Finding{{Remedy: remedy}})[0].Remedy
		for _, got := range []string{found, trimmed(errors.New(remedy)), said.String()} {
			if !strings.Contains(got, want) || strings.Contains(got, "configuration") {
				t.Errorf("%q becomes %q, without %q", remedy, got, want)
			}
		}
	}
}

func TestWordsThatAreNotKnownStayAsTheyAre(t *testing.T) {
	t.Parallel()
	const text = "something else: WithDriftFactor(2): must be in [0, 1)"
	err := errors.New(text)
	for _, got := range []string{parserWords(err), optionWords(err).Error(), closeWords(err)} {
		if got != text {
			t.Errorf("it becomes %q", got)
		}
	}
}
