package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

func TestNodesMayBeGivenAsAListAndOneByOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given, want []string
	}{
		{[]string{"redis://a"}, []string{"redis://a"}},
		{[]string{"redis://a,redis://b", "unix:///c"}, []string{"redis://a", "redis://b", "unix:///c"}},
		{[]string{"redis://a, rediss://b\n,\tunix:///c"}, []string{"redis://a", "rediss://b", "unix:///c"}},
		{[]string{"redis://u:p,w@a,redis://u:p,w@b?client_name=x,y"}, []string{"redis://u:p,w@a", "redis://u:p,w@b?client_name=x,y"}},
	} {
		if got := splitNodes(c.given); !slices.Equal(got, c.want) {
			t.Errorf("%q becomes %q", c.given, got)
		}
	}
	cluster := redlocktest.New(t, 3)
	urls := "redis://" + strings.Join(cluster.Addrs(), ",redis://")
	cmd := command("run", "--name", lockName, "--", "sh", "-c", "echo ready; read line")
	cmd.Env = append(cmd.Env, nodesVariable+"="+urls)
	holder := startCommand(t, cmd)
	holder.expectLine("ready")
	p := start(t, "run", "--name", lockName, "--node", urls, "--", "true")
	p.expectCode(exitNotAcquired)
	_ = holder.stdin.Close()
	holder.expectCode(1)
}

func TestAnEvenNumberOfNodesIsAWarning(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 4)
	p := start(t, lockArgs(cluster, "true")...)
	p.expectCode(0)
	p.expectSaid("redlock run: warning: 4 nodes survive no more failures than 3")
	p = start(t, with(lockArgs(cluster, "true"), "-q")...)
	p.expectCode(0)
	if said := p.stderr.String(); said != "" {
		t.Errorf("with --quiet it says %s", said)
	}
}

func TestOneServerUnderTwoNamesIsAWarningAndNoMajority(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 2)
	args := with(lockArgs(cluster, "echo", "ran"), "--node", "redis://"+strings.Replace(cluster.Addrs()[0], "127.0.0.1", "localhost", 1))
	for range 20 { // the lock is granted by two servers, perhaps before the second name has answered
		p := start(t, args...)
		p.expectCode(0)
		if strings.Contains(p.stderr.String(), "is the same server as another one") {
			cluster.Node(1).Stop()
			p := start(t, args...)
			if out := p.expectCode(exitNoQuorum); out != "" {
				t.Error("one server of two is a majority")
			}
			p.expectSaid("another node is the same server")
			return
		}
	}
	t.Error("no warning")
}

// files are certificates and keys in PEM form.
type files struct{ ca, cert, key string }

// certify makes a certificate authority and a certificate for the name, for servers and clients.
func certify(t *testing.T, name string) files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(file, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), file)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certFile := write("cert.pem", "CERTIFICATE", cert)
	return files{ca: certFile, cert: certFile, key: write("key.pem", "PRIVATE KEY", secret)}
}

// terminate puts TLS before a node, which wants a client's certificate, and returns its address.
func terminate(t *testing.T, addr string, server, clients files) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(server.cert, server.key)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	text, err := os.ReadFile(clients.ca)
	if err != nil || !trusted.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { // ends with the listener
		for {
			front, err := listener.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", addr)
			if err != nil {
				_ = front.Close()
				continue
			}
			go func() { _, _ = io.Copy(back, front); _ = back.Close() }()  // ends with the connection
			go func() { _, _ = io.Copy(front, back); _ = front.Close() }() // the same
		}
	}()
	return listener.Addr().String()
}

func TestNodesWithTLSAreCheckedAndShownACertificate(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 1)
	server, client := certify(t, "redis.internal"), certify(t, "backup")
	addr := terminate(t, cluster.Addrs()[0], server, client)
	all := []string{"--tls-ca", server.ca, "--tls-server-name", "redis.internal", "--tls-cert", client.cert, "--tls-key", client.key}
	run := func(flags ...string) *process {
		args := append([]string{"run", "--name", lockName, "--ttl", "60s", "--node-timeout", "20s", "--node", "rediss://" + addr + "?dial_timeout=20s"}, flags...)
		return start(t, append(args, "--", "echo", "ran")...)
	}
	p := run(all...)
	p.expectLine("ran")
	p.expectCode(0)
	for what, c := range map[string]struct {
		flags []string
		want  string
	}{
		"without the authority":    {all[2:], "as in --tls-ca FILE)"},
		"without the name":         {slices.Delete(slices.Clone(all), 2, 4), "as in --tls-server-name NAME)"},
		"without a certificate":    {all[:4], "as in --tls-cert FILE --tls-key FILE, or another version)"},
		"with a wrong certificate": {append(slices.Clone(all[:4]), "--tls-cert", server.cert, "--tls-key", server.key), "as in --tls-cert FILE --tls-key FILE, or another version)"},
	} {
		p := run(c.flags...)
		if out := p.expectCode(exitNoQuorum); out != "" {
			t.Errorf("%s: the command ran", what)
		}
		p.expectSaid(c.want)
		if said := p.stderr.String(); strings.Contains(said, "onfiguration") || strings.Contains(said, "RootCAs") {
			t.Errorf("%s: it speaks of a program:\n%s", what, said)
		}
	}
	status := start(t, "status", lockName, "--node", "rediss://"+addr+"?dial_timeout=20s", "--node-timeout", "20s")
	wantMatch(t, status.expectCode(exitNoQuorum), "as in --tls-server-name NAME")
	status.expectSaid("as in --tls-server-name NAME")
}

func TestANodeWithoutTLSBehindAURLForTLSIsSaid(t *testing.T) {
	t.Parallel()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	go func() { // ends with the listener
		for {
			conn, err := plain.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("-ERR this is no TLS\r\n"))
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	p := start(t, "status", lockName, "--node", "rediss://"+plain.Addr().String()+"?dial_timeout=20s", "--node-timeout", "20s")
	p.expectCode(exitNoQuorum)
	p.expectSaid("the server speaks no TLS there: begin its URL with redis://, or give it the TLS port")
}
