package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
)

// front is a program between the library and a server.
type front struct {
	name, program string
	tests         []string
	serve         func(dir, to string) (addr string, args []string, err error) // nil where doctor goes to the server itself

	skipped, doctor string
	suite           suite
}

// fronts tries proxies and tunnels in front of the redis-server of this system.
func (t *tools) fronts(dir, only string) []front {
	all := []front{
		{name: "HAProxy", program: "haproxy", serve: haproxy, tests: []string{
			"TestPeriodicJobGetsItsLockThoughItsConnectionsWereClosedMeanwhile", "TestLongHeldLockIsExtendedAndUnlockedThoughTheConnectionsWereClosedMeanwhile",
		}},
		{name: "stunnel", program: "stunnel", serve: stunnel},
		{name: "twemproxy", program: "nutcracker", serve: twemproxy, tests: []string{"TestProxyThatGivesUpBeforeItsServerLeavesNoKey"}},
		{name: "Sentinel", program: "redis-server", tests: []string{
			"TestCheckSeesReplicasAndSentinels", "TestThePipelinedConnectionFollowsAFailOverWhileTheOldMasterIsStillOne", "TestPlannedFailOversMakeNoTwoHolders",
		}},
	}
	if err := os.Unsetenv("REDIS_SERVER"); err != nil {
		return nil
	}
	for i := range all {
		f := &all[i]
		if !strings.Contains(f.name, only) {
			f.skipped = "not asked for"
			continue
		}
		if err := t.through(dir, f); err != nil {
			f.skipped = err.Error()
			continue
		}
		fmt.Printf("%-12s %s; doctor: %s\n", f.name, f.suite, f.doctor)
	}
	return all
}

func (t *tools) through(dir string, f *front) error {
	path, err := exec.LookPath(f.program)
	if err != nil {
		return err
	}
	if words := strings.Join(f.tests, " "); words != "" {
		if f.suite, err = t.run(f.tests...); err != nil {
			return err
		}
	}
	if f.serve == nil {
		f.doctor = "that a Sentinel grants no locks: see the first test"
		return nil
	}
	var nodes []string
	for range 3 {
		node, err := redisproc.Launch(redisproc.Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
		if err != nil {
			return err
		}
		defer node.Stop()
		folder, err := os.MkdirTemp(dir, "front-")
		if err != nil {
			return err
		}
		addr, args, err := f.serve(folder, node.Addr())
		if err != nil {
			return err
		}
		command := exec.Command(path, args...)
		if err := command.Start(); err != nil {
			return err
		}
		defer func() {
			_ = command.Process.Kill()
			_ = command.Wait()
		}()
		for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			if c, err := net.Dial("tcp", addr); err == nil {
				_ = c.Close()
				break
			}
			if time.Since(begun) > 2*patience {
				return fmt.Errorf("%s does not listen", f.name)
			}
		}
		nodes = append(nodes, "redis://"+addr)
	}
	f.doctor = t.diagnose(nodes...)
	return nil
}

// free is an address of this machine on which nothing listens.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func write(dir, name, format string, args ...any) (string, error) {
	file := filepath.Join(dir, name)
	return file, os.WriteFile(file, fmt.Appendf(nil, format, args...), 0o600)
}

func haproxy(dir, to string) (addr string, args []string, err error) {
	if addr, err = free(); err != nil {
		return "", nil, err
	}
	file, err := write(dir, "haproxy.cfg", "defaults\n mode tcp\n timeout connect 5s\n timeout client 1m\n timeout server 1m\nlisten redis\n bind %s\n server redis %s\n", addr, to)
	return addr, []string{"-db", "-f", file}, err
}

func twemproxy(dir, to string) (addr string, args []string, err error) {
	if addr, err = free(); err != nil {
		return "", nil, err
	}
	stats, err := free()
	if err != nil {
		return "", nil, err
	}
	_, port, _ := net.SplitHostPort(stats)
	file, err := write(dir, "nutcracker.yml", "one:\n  listen: %s\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n  servers:\n   - %s:1\n", addr, to)
	return addr, []string{"-c", file, "-s", port}, err
}

// stunnel encrypts and decrypts again: a client that knows no TLS, and a server that
// knows none, with a certificate between them.
func stunnel(dir, to string) (addr string, args []string, err error) {
	if addr, err = free(); err != nil {
		return "", nil, err
	}
	between, err := free()
	if err != nil {
		return "", nil, err
	}
	key, certificate := filepath.Join(dir, "key.pem"), filepath.Join(dir, "certificate.pem")
	if out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
		"-subj", "/CN=localhost", "-keyout", key, "-out", certificate).CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("openssl: %w: %s", err, out)
	}
	file, err := write(dir, "stunnel.conf", "foreground = yes\npid =\n[in]\nclient = yes\naccept = %s\nconnect = %s\nverifyChain = yes\nCAfile = %s\n"+
		"[out]\naccept = %[2]s\nconnect = %[4]s\ncert = %[3]s\nkey = %[5]s\n", addr, between, certificate, to, key)
	return addr, []string{file}, err
}
