package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/port"
	"github.com/quorumlock/quorumlock/internal/redisproc"
)

// Each remedy is carried out as it is printed, and then the doctor finds nothing.

var healthy = []string{"--appendonly", "yes", "--appendfsync", "always"}

// findings are those that are no notes.
func findings(t *testing.T, p *process) (found []jsonFinding) {
	t.Helper()
	_, out := p.end()
	var report jsonReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v:\n%s\n%s", err, out, p.stderr.String())
	}
	for _, f := range report.Findings {
		if f.Severity != "note" && f.Check != "latency" && f.Check != "clock" {
			found = append(found, f)
		}
	}
	return found
}

// doctor asks with these URLs and flags.
func doctor(t *testing.T, args ...string) *process {
	t.Helper()
	return start(t, append([]string{"doctor", "--json", "--node-timeout", "2s"}, args...)...)
}

// wantRemedy wants one error, and returns its remedy.
func wantRemedy(t *testing.T, found []jsonFinding, check, seen string) string {
	t.Helper()
	if len(found) != 1 || found[0].Severity != "error" || found[0].Check != check || !strings.Contains(found[0].Seen, seen) {
		t.Fatalf("want an error about %s that says %q, got %+v", check, seen, found)
	}
	return found[0].Remedy
}

func wantHealthy(t *testing.T, found []jsonFinding) {
	t.Helper()
	if len(found) > 0 {
		t.Errorf("after the remedy: %+v", found)
	}
}

// configured starts a server whose configuration file has these lines.
func configured(t *testing.T, lines string) (s *redisproc.Server, edit func(from, to string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "redis.conf")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	s = redisproc.Start(t, redisproc.Options{Args: append([]string{"--include", file}, healthy...)})
	return s, func(from, to string) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), from) {
			t.Fatalf("%q is not in the configuration: %v", from, err)
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), from, to)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRemedyForANodeOfACluster(t *testing.T) {
	t.Parallel()
	s, edit := configured(t, "cluster-enabled yes\n")
	url := "redis://" + s.Addr()
	remedy := wantRemedy(t, findings(t, doctor(t, "--node", url)), "role", "part of a cluster")
	setting := regexp.MustCompile(`set (cluster-enabled no) in its configuration file .*, and restart it`).FindStringSubmatch(remedy)
	if setting == nil {
		t.Fatal(remedy)
	}
	edit("cluster-enabled yes", setting[1])
	wantHealthy(t, findings(t, doctor(t, "--node", url)))
}

func TestRemedyForASentinel(t *testing.T) {
	t.Parallel()
	master := redisproc.Start(t, redisproc.Options{Args: healthy})
	sentinel := master.StartSentinel(t, 0, redisproc.Options{})
	remedy := wantRemedy(t, findings(t, doctor(t, "--node", "redis://"+sentinel.Addr())), "role", "a Sentinel")
	addr := regexp.MustCompile(`give the address of a master: it watches (\S+) \(mymaster\)`).FindStringSubmatch(remedy)
	if addr == nil || addr[1] != master.Addr() {
		t.Fatal(remedy)
	}
	for _, f := range findings(t, doctor(t, "--node", "redis://"+addr[1])) {
		if f.Check != "replication" { // that the Sentinel watches it
			t.Errorf("after the remedy: %+v", f)
		}
	}
}

func TestRemedyForARenamedCommand(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SET", "ZADD"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, edit := configured(t, "rename-command "+name+" hidden\n")
			args := []string{"--node", "redis://" + s.Addr(), "--fair"}
			found := findings(t, doctor(t, args...))
			for _, f := range found {
				if f.Check != "commands" || !strings.Contains(f.Seen, "it does not have "+name) || strings.Contains(f.Remedy, "ACL") {
					t.Errorf("%+v", f)
				}
			}
			if len(found) == 0 || !strings.Contains(found[0].Remedy, "take rename-command "+name+" out of its configuration file, and restart it") {
				t.Fatalf("%+v", found)
			}
			edit("rename-command "+name+" hidden", "")
			wantHealthy(t, findings(t, doctor(t, args...)))
		})
	}
}

// A user gets what is missing, of no more keys than its own, and then has it.
func TestRemedyForAMissingRight(t *testing.T) {
	t.Parallel()
	s := redisproc.Start(t, redisproc.Options{Args: healthy})
	// What "unknown" names is not needed, and not given.
	const needed = "~app:* +set +get +getrange +del +pexpire +pttl +eval +evalsha +ping ~{app:*}:* &{app:*}:wake* +publish +subscribe +unsubscribe +acl|whoami +acl|dryrun +info +config|get +pubsub|numsub +client|info"
	for name, c := range map[string]struct {
		rights string // in place of those that are needed
		flags  []string
		remedy string
	}{
		"TIME for fencing":        {needed, []string{"--fencing"}, "+time"},
		"the counter for fencing": {strings.Replace(needed, "~{app:*}:*", "~{app:*}:wait", 1) + " +time", []string{"--fencing"}, "~{app:*}:*"},
		"a key":                   {strings.Replace(needed, "~app:*", "~other:*", 1), nil, "~app:*"},
		"a command of the script": {strings.Replace(needed, "+pexpire", "", 1), nil, "+pexpire"},
		"PING":                    {strings.Replace(needed, "+ping", "", 1), nil, "+ping"},
		"what WithFair needs":     {needed, []string{"--fair"}, "+time +zrange +zadd +zrem +zscore +hget +hset +hdel +hexists +exists"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user := "app" + strings.Map(func(r rune) rune {
				if r < 'A' {
					return -1
				}
				return r
			}, name)
			must := func(args ...string) {
				t.Helper()
				if _, err := s.Do(args...); err != nil {
					t.Fatalf("%q: %v", args, err)
				}
			}
			must(append([]string{"ACL", "SETUSER", user, "reset", "on", ">s3cret", "resetchannels"}, strings.Fields(c.rights)...)...)
			args := append([]string{"--prefix", "app:", "--node", "redis://" + user + ":s3cret@" + s.Addr()}, c.flags...)
			lacks := func() (remedies []string) {
				t.Helper()
				for _, f := range findings(t, doctor(t, args...)) {
					if f.Check == "rights" {
						remedies = append(remedies, f.Remedy)
					} else if f.Check != "unknown" {
						t.Errorf("%+v", f)
					}
					if f.Check == "rights" && name == "PING" && (f.Severity != "warning" || strings.Contains(f.Endangers, "grants nothing")) {
						t.Errorf("%+v", f)
					}
				}
				return remedies
			}
			for range 2 {
				for _, remedy := range lacks() {
					rest, ok := strings.CutPrefix(strings.Replace(remedy, "<user>", user, 1), "ACL SETUSER "+user+" ")
					if !ok || strings.Contains(" "+rest, " ~* ") || rest != c.remedy {
						t.Errorf("got %q, want %q", rest, c.remedy)
					}
					must(append([]string{"ACL", "SETUSER", user}, strings.Fields(rest)...)...)
				}
			}
			if left := lacks(); len(left) > 0 {
				t.Errorf("still missing: %q", left)
			}
		})
	}
}

func TestRemedyForADatabaseThatTheServerDoesNotHave(t *testing.T) {
	t.Parallel()
	s := redisproc.Start(t, redisproc.Options{Args: healthy})
	remedy := wantRemedy(t, findings(t, doctor(t, "--node", "redis://"+s.Addr()+"/20")), "reachable", "out of range")
	database := regexp.MustCompile(`give this node's client a database that the server has .*, such as (\d+)$`).FindStringSubmatch(remedy)
	if database == nil {
		t.Fatal(remedy)
	}
	wantHealthy(t, findings(t, doctor(t, "--node", "redis://"+s.Addr()+"/"+database[1])))
}

func TestRemedyForACertificateThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	cert, key := selfSigned(t)
	secure, err := port.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(secure.Release)
	redisproc.Start(t, redisproc.Options{Args: append([]string{"--tls-port", strconv.Itoa(secure.Number), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no"}, healthy...)})
	args := []string{"doctor", "--json", "--node", "rediss://" + secure.Addr() + "?dial_timeout=20s", "--ttl", "60s", "--node-timeout", "20s"}
	remedy := wantRemedy(t, findings(t, start(t, args...)), "reachable", "certificate")
	_, flags, found := strings.Cut(remedy, ", as in --tls-ca FILE")
	if !found || flags != "" {
		t.Fatal(remedy)
	}
	for _, f := range findings(t, start(t, append(args, "--tls-ca", cert)...)) {
		if f.Check != "uptime" {
			t.Errorf("after the remedy: %+v", f)
		}
	}
}

// selfSigned makes a certificate for 127.0.0.1 that vouches for itself.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
