package adapters_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/direct"
)

// wantUnsent wants an error of a command that was not sent, with these words.
func wantUnsent(t *testing.T, p pool.Pool, words ...string) {
	t.Helper()
	reply, err := p.Do(patience(t), "SET", "key", "value")
	if !errors.Is(err, pool.ErrNotSent) {
		t.Fatalf("got %v, %v", reply, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
}

func TestDirectSaysWhyAServerTurnsItAway(t *testing.T) {
	full := redisproc.Start(t, redisproc.Options{Args: []string{"--maxclients", "1"}})
	first := newDirect(t, full.Addr())
	wantReply(t, first, "PONG", "PING")
	wantUnsent(t, newDirect(t, full.Addr()), "max number of clients reached")

	hushed := redisproc.Start(t, redisproc.Options{})
	if _, err := hushed.Do("ACL", "SETUSER", "worker", "on", ">"+secret, "~*", "+set"); err != nil {
		t.Fatal(err)
	}
	wantReply(t, newDirect(t, hushed.Addr(), direct.WithPassword("worker", secret)), "OK", "SET", "key", "value") // it may not PING
	wantUnsent(t, newDirect(t, hushed.Addr(), direct.WithPassword("worker", secret), direct.WithDatabase(1)), "NOPERM", "select")

	wantUnsent(t, newDirect(t, answering(t, "")), "no answer to the greeting", "whether it wants TLS")
	wantUnsent(t, newDirect(t, answering(t, "+PONG\r\n+PONG\r\n")), "answers more than it was asked")
}

// answering starts a server that says the same to whatever it reads first, and hangs up.
func answering(t *testing.T, what string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 64))
			_, _ = io.WriteString(conn, what)
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

// A server that has another name for AUTH repeats what it was sent.
func TestDirectShowsNoPasswordThatAServerRepeats(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{Args: []string{"--rename-command", "AUTH", "OPEN"}})
	p := newDirect(t, server.Addr(), direct.WithPassword("worker", secret))
	wantUnsent(t, p, "ERR unknown command")
	_, err := p.Do(patience(t), "PING")
	_, subErr := p.Subscribe(patience(t))
	for _, err := range []error{err, subErr} {
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	}
}

func TestDirectIsNotHeldUpByCodeThatIgnoresItsContext(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	server := redisproc.Start(t, redisproc.Options{})
	for _, opt := range []direct.Option{
		direct.WithDialer(func(context.Context, string, string) (net.Conn, error) { <-end; return nil, net.ErrClosed }),
		direct.WithCredentials(func(context.Context) (string, string, error) { <-end; return "", "", net.ErrClosed }),
	} {
		p := newDirect(t, server.Addr(), opt)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := p.Subscribe(ctx)
		cancel()
		wantError(t, err, context.DeadlineExceeded)
	}
}

func TestDirectSubscribesNoMoreAfterClose(t *testing.T) {
	p := newDirect(t, redisproc.Start(t, redisproc.Options{}).Addr())
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := p.Subscribe(t.Context())
	wantError(t, err, pool.ErrClosed)
}

func TestDirectAsksForCredentialsOnceForEachConnection(t *testing.T) {
	server := redisproc.Start(t, redisproc.Options{Args: []string{"--user", "worker", "on", ">first", ">second", "~*", "+@all"}})
	var asked atomic.Int32
	passwords := []string{"first", "second", "gone"}
	p := newDirect(t, server.Addr(), direct.WithCredentials(func(ctx context.Context) (string, string, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the context has no deadline")
		}
		return "worker", passwords[min(int(asked.Add(1)), len(passwords))-1], nil
	}))
	for connection := range int32(2) {
		wantReply(t, p, "worker", "ACL", "WHOAMI")
		wantReply(t, p, "worker", "ACL", "WHOAMI")
		if n := asked.Load(); n != connection+1 {
			t.Errorf("asked %d times for connection %d", n, connection+1)
		}
		if _, err := server.Do("CLIENT", "KILL", "USER", "worker"); err != nil {
			t.Fatal(err)
		}
		for ctx := patience(t); asked.Load() == connection+1; time.Sleep(time.Millisecond) {
			if _, err := p.Do(ctx, "PING"); ctx.Err() != nil {
				t.Fatalf("it goes on with a connection that was killed: %v", err)
			}
		}
	}
	wantUnsent(t, p, "WRONGPASS")
}

func TestDirectSurvivesWhatItIsGiven(t *testing.T) {
	gone := errors.New("the vault is closed")
	for want, opt := range map[string]direct.Option{
		"panic while a connection was opened: oh": direct.WithDialer(func(context.Context, string, string) (net.Conn, error) { panic("oh") }),
		"nil pointer dereference": direct.WithDialer(func(context.Context, string, string) (net.Conn, error) {
			var none *tls.Conn
			return none, nil
		}),
		"the dialer returned no connection and no error": direct.WithDialer(func(context.Context, string, string) (net.Conn, error) { return nil, nil }),
		"credentials: the vault is closed":               direct.WithCredentials(func(context.Context) (string, string, error) { return "", "", gone }),
	} {
		server := redisproc.Start(t, redisproc.Options{})
		wantUnsent(t, newDirect(t, server.Addr(), opt), want)
	}
}

// A connection that cannot be opened costs a call its deadline, and the error says what was under way.
func TestDirectSaysWhatTheOpeningOfAConnectionIsDoing(t *testing.T) {
	addr, hangUp := mute(t)
	defer hangUp()
	p := newDirect(t, addr, direct.WithDialTimeout(300*time.Millisecond))
	for _, c := range []struct {
		deadline time.Duration
		want     string
	}{{50 * time.Millisecond, "(greeting the server)"}, {5 * time.Second, "the server accepts connections and does not answer"}} {
		ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
		_, err := p.Do(ctx, "SET", "key", "value")
		cancel()
		wantError(t, err, pool.ErrNotSent, context.DeadlineExceeded)
		if !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v does not say %q", err, c.want)
		}
	}
}
