package servers_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	goredisv9 "github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
)

// A setup is a service with nodes that cannot be locked on: three clients of one address.
type setup struct {
	name   string
	pools  []pool.Pool
	comes  outcome  // to what
	remedy string   // a part of what either says
	says   []string // other parts of it
}

// An outcome is what comes of a wait.
type outcome int

const (
	ends     outcome = iota // an error
	reported                // a warning, since it may heal
	either                  // the end of the connection comes before the server's answer, or after it
)

// goRedis has three clients of addr, called n0 to n2.
func goRedis(t testing.TB, addr string, o goredisv9.Options) (pools []pool.Pool) {
	for i := range 3 {
		o := o
		o.Addr = addr
		client := goredisv9.NewClient(&o)
		t.Cleanup(func() { _ = client.Close() })
		pools = append(pools, goredis.New(client, goredis.WithName(fmt.Sprint("n", i))))
	}
	return pools
}

func goRedisPipelined(t testing.TB, addr string, o goredisv9.Options) (pools []pool.Pool) {
	for i := range 3 {
		o := o
		o.Addr = addr
		client := goredisv9.NewClient(&o)
		p := goredis.NewPipelined(client, goredis.WithName(fmt.Sprint("n", i)))
		t.Cleanup(func() { _ = p.Close(); _ = client.Close() })
		pools = append(pools, p)
	}
	return pools
}

func viaRedigoPools(t testing.TB, addr string, opts ...redis.DialOption) (pools []pool.Pool) {
	for i := range 3 {
		connections := &redis.Pool{MaxIdle: 4, DialContext: redigoDial(addr, nil, opts...)}
		t.Cleanup(func() { _ = connections.Close() })
		pools = append(pools, redigo.New(connections, redigo.WithName(fmt.Sprint("n", i))))
	}
	return pools
}

// stub listens and does something to every connection, until the test ends.
func stub(t testing.TB, do func(conn net.Conn)) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			all.Go(func() { do(conn); conn.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// setups are the ways to get it wrong that were tried.
func setups(t *testing.T, trusted *tls.Config, secure string) []setup {
	plain := redisproc.Start(t, redisproc.Options{}).Addr()
	locked := redisproc.Start(t, redisproc.Options{Password: "secret"}).Addr()
	full := redisproc.Start(t, redisproc.Options{})
	if _, err := full.Do("CONFIG", "SET", "maxclients", "1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one client has the only connection", func() bool {
		conn, err := net.Dial("tcp", full.Addr())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "PING\r\n")
		line, _ := bufio.NewReader(conn).ReadString('\n')
		if line != "+PONG\r\n" {
			conn.Close()
			return false
		}
		t.Cleanup(func() { conn.Close() })
		return true
	})
	denied := stub(t, func(conn net.Conn) {
		io.WriteString(conn, "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface.\r\n")
	})
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	http := web.Listener.Addr().String()
	ssh := stub(t, func(conn net.Conn) {
		io.WriteString(conn, "SSH-2.0-x\r\n")
		bufio.NewReader(conn).ReadString('\n')
		io.Copy(io.Discard, conn)
	})
	mute := stub(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	anyName := &tls.Config{ServerName: "127.0.0.1"}
	otherName := trusted.Clone()
	otherName.ServerName = "redis.example"
	type options = goredisv9.Options

	const wantsTLS, noTLS, noRedis, noPassword = "whether its port wants TLS", "TLS", "no Redis server", "this server has no password"
	return []setup{
		{"go-redis without TLS, port wants TLS", goRedis(t, secure, options{}), reported, wantsTLS, nil},
		{"go-redis pipelined without TLS, port wants TLS", goRedisPipelined(t, secure, options{}), reported, wantsTLS, nil},
		{"redigo without TLS, port wants TLS", viaRedigoPools(t, secure), reported, wantsTLS, nil},
		{"go-redis with TLS, plain port", goRedis(t, plain, options{TLSConfig: trusted}), reported, noTLS, nil},
		{"redigo with TLS, plain port", viaRedigoPools(t, plain, redis.DialUseTLS(true), redis.DialTLSConfig(trusted)), reported, noTLS, nil},
		{"go-redis, certificate of an unknown authority", goRedis(t, secure, options{TLSConfig: anyName}), ends, "RootCAs", []string{"x509"}},
		{"go-redis, certificate for another name", goRedis(t, secure, options{TLSConfig: otherName}), ends, "ServerName", []string{"x509"}},
		{"go-redis, protected mode", goRedis(t, denied, options{}), either, "protected mode", nil},
		{"go-redis pipelined, protected mode", goRedisPipelined(t, denied, options{}), either, "protected mode", nil},
		{"redigo, protected mode", viaRedigoPools(t, denied), either, "protected mode", nil},
		{"go-redis, database 99", goRedis(t, plain, options{DB: 99}), ends, "a database that the server has", []string{"DB index is out of range"}},
		{"redigo, database 99", viaRedigoPools(t, plain, redis.DialDatabase(99)), ends, "a database that the server has", []string{"DB index is out of range"}},
		{"redigo, password where there is none", viaRedigoPools(t, plain, redis.DialPassword("x")), ends, noPassword, nil},
		{"go-redis, user that does not exist", goRedis(t, plain, options{Username: "nobody", Password: "x"}), ends, "check the user name and password", []string{"WRONGPASS"}},
		{"go-redis, no password where there is one", goRedis(t, locked, options{}), ends, "give this node's client a password", []string{"NOAUTH"}},
		{"go-redis, wrong password", goRedis(t, locked, options{Password: "y"}), ends, "check the user name and password", []string{"WRONGPASS"}},
		{"go-redis, name that does not resolve", goRedis(t, "no-such-host.invalid:6379", options{}), reported, "correct it, or the DNS", nil},
		{"go-redis, port where nobody listens", goRedis(t, closedAddr(t), options{}), reported, "start the server, or correct its address", []string{"refused"}},
		{"go-redis, HTTP server", goRedis(t, http, options{}), ends, noRedis, nil},
		{"redigo, HTTP server", viaRedigoPools(t, http), ends, noRedis, nil},
		{"go-redis, SSH server", goRedis(t, ssh, options{}), ends, noRedis, nil},
		{"go-redis, a server that says nothing", goRedis(t, mute, options{}), reported, "whether it is a Redis server", nil},
		{"go-redis, maxclients reached", goRedis(t, full.Addr(), options{}), either, "maxclients", nil},
	}
}

// A fault that needs an operator ends the wait with an error that says how to fix it. A fault
// that may pass is reported soon, also without a logger.
func TestNodesThatCanNeverAnswerEndTheWaitOrAreReported(t *testing.T) {
	files, pem := certificate(t)
	secure := closedAddr(t)
	redisproc.Start(t, redisproc.Options{Args: []string{
		"--tls-port", secure[strings.LastIndex(secure, ":")+1:], "--tls-cert-file", files.Cert, "--tls-key-file", files.Key,
		"--tls-ca-cert-file", files.Cert, "--tls-auth-clients", "no",
	}})
	var book logbook
	before := slog.Default()
	slog.SetDefault(book.logger())
	t.Cleanup(func() { slog.SetDefault(before) })

	type wait struct {
		setup
		locker *redlock.Locker
		stop   context.CancelFunc
		begun  time.Time
		ended  chan error
	}
	var all []wait // at the same time: some take five seconds
	for _, s := range setups(t, &tls.Config{RootCAs: pem, ServerName: "127.0.0.1"}, secure) {
		// go-redis repeats dials for 400 ms before it says what was wrong with them.
		locker, err := redlock.New(s.pools, redlock.WithNodeTimeout(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w := wait{s, locker, cancel, time.Now(), make(chan error, 1)}
		go func() { // ends with ctx
			_, err := locker.Lock(ctx, w.name)
			w.ended <- err
		}()
		all = append(all, w)
	}
	for _, w := range all {
		t.Run(w.name, func(t *testing.T) {
			said := ""
			var err error
			for patience := time.Now(); said == ""; {
				select {
				case err = <-w.ended:
					said = "the error " + err.Error()
				case <-time.After(10 * time.Millisecond):
					for line := range strings.Lines(book.String()) {
						if w.comes != ends && strings.Contains(line, fmt.Sprintf("name=%q", w.name)) {
							said = "the log " + line
						}
					}
					if said == "" && time.Since(patience) > time.Minute {
						said = "nothing"
					}
				}
			}
			t.Logf("after %v at most, %s", time.Since(w.begun).Round(100*time.Millisecond), said)
			w.stop()
			if w.comes != either && (err != nil) != (w.comes == ends) {
				t.Errorf("it ends the wait: %v, want %v", err != nil, w.comes == ends)
			}
			if err == nil {
				err = <-w.ended
			}
			if !errors.Is(err, redlock.ErrNoQuorum) {
				t.Errorf("%v is not %v", err, redlock.ErrNoQuorum)
			}
			for _, text := range append(w.says, w.remedy) {
				if !strings.Contains(said, text) {
					t.Errorf("it does not say %q", text)
				}
			}
			closing, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer stop()
			_ = w.locker.Close(closing) // pending releases of such nodes are of no interest here
		})
	}
}
