package goredis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
)

// scripted is a server in RESP2 that answers the command REPLY with the bytes
// of its argument, ROLE with the number of the connection, PING with PONG, and
// all else with an error.
type scripted struct {
	addr        string
	connections atomic.Int32
	asked       atomic.Int32 // for REPLY
}

func startScripted(t *testing.T) *scripted {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	s := &scripted{addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed by the cleanup
			}
			go s.serve(conn, s.connections.Add(1)) // ends when the client closes
		}
	}()
	return s
}

func (s *scripted) serve(conn net.Conn, number int32) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		var words int
		if _, err := fmt.Fscanf(r, "*%d\r\n", &words); err != nil {
			return
		}
		args := make([]string, words)
		for i := range args {
			var size int
			if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
				return
			}
			b := make([]byte, size+2)
			if _, err := io.ReadFull(r, b); err != nil {
				return
			}
			args[i] = string(b[:size])
		}
		answer := "-ERR unknown command\r\n"
		switch strings.ToUpper(args[0]) {
		case "REPLY":
			s.asked.Add(1)
			answer = strings.ReplaceAll(args[1], "SELF", s.addr)
		case "ROLE":
			answer = fmt.Sprintf(":%d\r\n", number)
		case "PING":
			answer = "+PONG\r\n"
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// watch is a hook that keeps what a user's hook can see of a command.
type watch struct {
	seen string
	same bool // cmd.Err() says what next returned
}

func (*watch) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*watch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (w *watch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		w.same = errors.Is(cmd.Err(), err)
		cmd.SetErr(err) // client.Do does it after its hooks
		w.seen = fmt.Sprintf("%v nil=%t noscript=%t readonly=%t oom=%t auth=%t noperm=%t redis=%t %q %s",
			err, err == redis.Nil, errors.Is(err, redis.ErrNoScript), redis.IsReadOnlyError(err),
			redis.IsOOMError(err), redis.IsAuthError(err), redis.IsPermissionError(err), errors.As(err, new(redis.Error)), cmd.String(), cmd.FullName())
		return err
	}
}

// replies are all that the sight of an error could matter for.
var replies = []string{
	"$-1\r\n", "*-1\r\n", "+OK\r\n", ":1\r\n", "$5\r\nvalue\r\n",
	"-ERR something\r\n",
	"-NOSCRIPT No matching script. Please use EVAL.\r\n",
	"-READONLY You can't write against a read only replica.\r\n",
	"-ERR Error running script (call to f_x): @user_script:1: -READONLY You can't write against a read only replica.\r\n",
	"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n",
	"-MOVED 1 SELF\r\n", "-MOVED 1 127.0.0.1:1\r\n", "-ASK 1 SELF\r\n",
	"-LOADING Redis is loading the dataset in memory\r\n",
	"-MASTERDOWN Link with MASTER is down\r\n",
	"-CLUSTERDOWN Hash slot not served\r\n", "-TRYAGAIN later\r\n", "-NOREPLICAS Not enough good replicas to write.\r\n",
	"-ERR max number of clients reached\r\n",
	"-NOAUTH Authentication required.\r\n", "-WRONGPASS invalid\r\n", "-NOPERM no permissions\r\n",
	"-OOM command not allowed\r\n", "-BUSY running a script\r\n", "-MISCONF no disk\r\n",
}

// A reply that go-redis does not see as an error would leave a client behind
// Sentinel on the connection to the master that was demoted, for as long as it
// lives; one that it wrongly sees as an error would cost a connection each time.
func TestErrorRepliesMatterToTheConnectionAndToHooksAsTheyDoForTheClientAlone(t *testing.T) {
	for _, sent := range replies {
		play := func(do func(client *redis.Client, args ...any)) (w *watch, connection any) {
			server := startScripted(t)
			client := redis.NewClient(&redis.Options{Addr: server.addr, MaxRetries: -1, Protocol: 2, PoolSize: 1})
			defer client.Close()
			w = new(watch)
			client.AddHook(w)
			do(client, "REPLY", sent)
			number, err := client.Do(t.Context(), "ROLE").Result()
			if err != nil {
				t.Fatal(err)
			}
			do(client, "REPLY", sent)
			w.seen = strings.ReplaceAll(w.seen, server.addr, "SELF")
			return w, number
		}
		want, wantConnection := play(func(client *redis.Client, args ...any) { client.Do(t.Context(), args...) })
		got, connection := play(func(client *redis.Client, args ...any) {
			reply, err := New(client).Do(t.Context(), args...)
			if (err != nil) != (sent[0] == '-') {
				t.Errorf("%q: got %v, %v", sent, reply, err)
			}
		})
		if got.seen != want.seen || !got.same {
			t.Errorf("%q: a hook sees\n%s (by cmd.Err() too: %t)\nand of client.Do\n%s", sent, got.seen, got.same, want.seen)
		}
		if refusal, _ := strings.CutPrefix(strings.TrimSpace(sent), "-"); pool.Demoted(pool.Error(refusal)) {
			wantConnection = int64(2) // go-redis alone keeps some of these
		}
		if connection != wantConnection {
			t.Errorf("%q: the next command is on connection %v, with client.Do it is on %v", sent, connection, wantConnection)
		}
	}
}

func TestConnectionOnWhichAServerSaidThatItIsNoMasterIsNotUsedAgain(t *testing.T) {
	for _, text := range []string{
		"READONLY You can't write against a read only replica.",
		"ERR READONLY You can't write against a read only replica.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"ERR Error running script (call to f_x): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
		"ERR proxy: upstream said READONLY",
	} {
		server := startScripted(t)
		client := redis.NewClient(&redis.Options{Addr: server.addr})
		p := New(client)
		for _, want := range []int64{1, 2, 3} {
			if got, err := p.Do(t.Context(), "ROLE"); err != nil || got != want {
				t.Errorf("%s: got connection %v, %v, want %d", text, got, err, want)
			}
			_, err := p.Do(t.Context(), "REPLY", "-"+text+"\r\n")
			var refusal pool.Error
			if !errors.As(err, &refusal) || string(refusal) != text || errors.Is(err, pool.ErrNotSent) {
				t.Errorf("%s: got %v", text, err)
			}
		}
		_ = client.Close()
	}
}

func TestIdleConnectionsToADemotedMasterAreNotUsedAgainEither(t *testing.T) {
	const idle = 5
	server := startScripted(t)
	client := redis.NewClient(&redis.Options{Addr: server.addr})
	defer client.Close()
	p := New(client)
	open := func(n int) {
		var held []*redis.Conn
		for range n {
			conn := client.Conn()
			if err := conn.Do(t.Context(), "ROLE").Err(); err != nil {
				t.Fatal(err)
			}
			held = append(held, conn)
		}
		for _, conn := range held {
			_ = conn.Close()
		}
	}
	demote := func() {
		if _, err := p.Do(t.Context(), "REPLY", "-READONLY You can't write against a read only replica.\r\n"); !pool.Demoted(err) {
			t.Fatalf("got %v", err)
		}
	}
	open(idle)
	demote()
	if got, err := p.Do(t.Context(), "ROLE"); err != nil || got.(int64) <= idle {
		t.Errorf("got connection %v, %v", got, err)
	}
	// But a client that is meant for a replica does not lose them all the time.
	open(idle)
	demote()
	if n := client.PoolStats().IdleConns; n != idle-1 {
		t.Errorf("%d connections are idle", n)
	}
}

func TestAConnectionWhoseReplyIsNoRESPIsNotUsedAgain(t *testing.T) {
	for _, sent := range []string{"#x\r\n", ":x\r\n", "|-1\r\n", ">1\r\n+message\r\n", "$9223372036854775807\r\n", "$2\r\nOKxx", "*1\r\n_x\r\n"} {
		server := startScripted(t)
		client := redis.NewClient(&redis.Options{Addr: server.addr, Protocol: 2})
		p := New(client)
		if reply, err := p.Do(t.Context(), "REPLY", sent); err == nil || errors.Is(err, pool.ErrNotSent) || errors.As(err, new(pool.Error)) {
			t.Errorf("%q: got %v, %v", sent, reply, err)
		}
		if got, err := p.Do(t.Context(), "ROLE"); err != nil || got != int64(2) {
			t.Errorf("%q: the next command is on connection %v, %v", sent, got, err)
		}
		_ = client.Close()
	}
}

func TestHooksSeeThatALateCommandWasNotSent(t *testing.T) {
	server := startScripted(t)
	client := redis.NewClient(&redis.Options{Addr: server.addr, DialTimeout: 100 * time.Millisecond, OnConnect: func(ctx context.Context, _ *redis.Conn) error {
		<-ctx.Done()
		return nil
	}})
	defer client.Close()
	w := new(watch)
	client.AddHook(w)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := New(client).Do(ctx, "ROLE"); !errors.Is(err, pool.ErrNotSent) {
		t.Errorf("got %v", err)
	}
	if want := "context deadline exceeded: no connection was open by then "; !w.same || !strings.HasPrefix(w.seen, want) {
		t.Errorf("a hook sees %s", w.seen)
	}
}

// A null that go-redis saw as an error would cost some twenty allocations more.
func TestAGrantedLockIsNoErrorForGoRedis(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() { // ends with the client's connection, and allocates nothing on the way
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, 4096)
		greeting, null := []byte("-ERR unknown command\r\n"), []byte("$-1\r\n")
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			answer := null
			if b[0] == '*' && !strings.Contains(string(b[:n]), "SET") {
				answer = greeting
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	}()
	client := redis.NewClient(&redis.Options{Addr: listener.Addr().String(), Protocol: 2, DisableIdentity: true})
	defer client.Close()
	p, args := New(client), []any{"SET", "key", "value", "NX", "GET", "PX", int64(8000)}
	n := testing.AllocsPerRun(100, func() {
		if reply, err := p.Do(t.Context(), args...); reply != nil || err != nil {
			t.Errorf("got %v, %v", reply, err)
		}
	})
	if n > 10 {
		t.Errorf("costs %v allocations", n)
	}
}
