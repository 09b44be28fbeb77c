package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/port"
	"github.com/quorumlock/quorumlock/pool"
)

// certified returns a certificate for a name that vouches for itself.
func certified(t *testing.T, name string, until time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, trusted
}

// serve answers one connection at a time and returns its address.
func serve(t *testing.T, answer func(conn net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			answer(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

// greet speaks TLS to an address.
func greet(addr string, config *tls.Config) error {
	conn, err := (&tls.Dialer{Config: config}).Dial("tcp", addr)
	if err == nil {
		defer conn.Close()
		_, err = conn.Read(make([]byte, 1))
	}
	return err
}

func TestErrorsThatAreNoRepliesHaveACauseAndARemedy(t *testing.T) {
	good, trusted := certified(t, "redis.example", time.Now().Add(time.Hour))
	old, trustedOld := certified(t, "redis.example", time.Now().Add(-time.Hour))
	overTLS := func(config *tls.Config) string {
		return serve(t, func(conn net.Conn) {
			config.Certificates = append(config.Certificates[:0:0], config.Certificates...)
			_ = tls.Server(conn, config).Handshake()
		})
	}
	secure := overTLS(&tls.Config{Certificates: []tls.Certificate{good}})
	expired := overTLS(&tls.Config{Certificates: []tls.Certificate{old}})
	mutual := overTLS(&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert})
	plain := serve(t, func(conn net.Conn) { fmt.Fprint(conn, "-ERR Protocol error\r\n") })
	closing := serve(t, func(net.Conn) {})
	closed, err := port.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Release()
	_, refused := net.Dial("tcp", closed.Addr())
	_, noSocket := net.Dial("unix", filepath.Join(t.TempDir(), "redis.sock"))
	conn, err := net.Dial("tcp", closing)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, hungUp := conn.Read(make([]byte, 1))

	for name, c := range map[string]struct {
		err    error
		end    end
		remedy string
		silent bool
	}{
		"unknown authority":     {greet(secure, &tls.Config{ServerName: "redis.example"}), untilFixed, "RootCAs", false},
		"another name":          {greet(secure, &tls.Config{ServerName: "r1", RootCAs: trusted}), untilFixed, "ServerName", false},
		"expired":               {greet(expired, &tls.Config{ServerName: "redis.example", RootCAs: trustedOld}), untilFixed, "renew it", false},
		"no client certificate": {greet(mutual, &tls.Config{ServerName: "redis.example", RootCAs: trusted}), lasts, "certificate", false},
		"TLS to a plain port":   {greet(plain, &tls.Config{}), lasts, "speaks no TLS", false},
		"closed":                {hungUp, passes, "whether its port wants TLS", false},
		"reset":                 {errors.New("read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer"), passes, "maxclients", false},
		"broken pipe":           {errors.New("write: broken pipe"), passes, "maxclients", false},
		"refused":               {refused, passes, "start the server", false},
		"no socket":             {noSocket, passes, "path of its socket", false},
		"forbidden socket":      {&net.OpError{Op: "dial", Net: "unix", Err: os.ErrPermission}, passes, "socket", false},
		"no such host":          {&net.DNSError{Err: "no such host", Name: "r1", IsNotFound: true}, passes, "DNS", false},
		"HTTP, go-redis":        {errors.New(`redis: can't parse map reply: "HTTP/1.1 400 Bad Request"`), lasts, "no Redis server", false},
		"SSH, ours":             {errors.New(`goredis: malformed reply: "SSH-2.0-x"`), lasts, "no Redis server", false},
		"HTTP, redigo":          {errors.New("redigo: unexpected response line (possible server error or unsupported concurrent read by application)"), lasts, "no Redis server", false},
		"another reply":         {(&Request{Verb: Acquire}).answer([]any{}, nil).Err, lasts, "no Redis server", false},
		"client is full":        {pool.ErrNoConn, passes, "PoolSize", false},
		"client closed":         {pool.ErrClosed, permanent, "after the Locker", false},
		"silence":               {noAnswer{}, passes, "hangs", true},
		"silent while dialing":  {context.DeadlineExceeded, passes, "hangs", true},
		"busy":                  {ErrBusy, passes, "hangs", true},
		"anything else":         {io.ErrShortWrite, passes, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			if c.err == nil {
				t.Fatal("no error")
			}
			for _, err := range []error{
				c.err,
				fmt.Errorf("%w: dial: %w", pool.ErrNotSent, c.err),
				fmt.Errorf("%w: %w: %w", pool.ErrNotSent, context.DeadlineExceeded, c.err), // it came with the end of the time
			} {
				if name == "anything else" && errors.Is(err, context.DeadlineExceeded) {
					continue
				}
				got := causeOf(redact(err))
				if got.end != c.end || got.silent != c.silent || !strings.Contains(got.remedy, c.remedy) || (c.remedy == "") != (got.remedy == "") {
					t.Errorf("%v: %+v", err, got)
				}
				if wantSilent := c.silent || c.remedy == ""; (Remedy(err) == "") != wantSilent || Advice(err) != got.remedy {
					t.Errorf("%v: remedy %q, advice %q", err, Remedy(err), Advice(err))
				}
			}
		})
	}
}

// What a server said counts for more than how the connection ended.
func TestAReplyIsTheCauseWhateverCameWithIt(t *testing.T) {
	err := fmt.Errorf("%w: %w: %w", context.DeadlineExceeded, io.EOF, pool.Error("NOAUTH Authentication required."))
	if c := causeOf(err); c.end != untilFixed || !strings.Contains(c.remedy, "password") {
		t.Errorf("%+v", c)
	}
	if c := causeOf(fmt.Errorf("%w: %w", pool.ErrClosed, err)); c.end != permanent {
		t.Errorf("a closed client: %+v", c)
	}
}
