package servers_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// impatient returns the addresses of proxies that wait 200 ms for their servers, and
// then answer with an error of their own: twemproxy, or something like it where that is
// not installed.
func impatient(t *testing.T, servers []string) (addrs []string) {
	path, err := exec.LookPath("nutcracker")
	if err != nil {
		for _, to := range servers {
			addrs = append(addrs, impatientProxy(t, to))
		}
		return addrs
	}
	text := ""
	for i, to := range servers {
		addr := closedAddr(t)
		addrs = append(addrs, addr)
		text += fmt.Sprintf("p%d:\n  listen: %s\n  redis: true\n  timeout: 200\n  servers:\n   - %s:1\n", i, addr, to)
	}
	config := filepath.Join(t.TempDir(), "nutcracker.yml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stats, _ := net.SplitHostPort(closedAddr(t))
	daemon(t, addrs[len(addrs)-1], path, "-c", config, "-a", "127.0.0.1", "-s", stats)
	return addrs
}

func impatientProxy(t *testing.T, to string) (addr string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); open.Wait() })
	pass := func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer server.Close()
		for buffer := make([]byte, 1<<16); ; {
			n, err := client.Read(buffer)
			if err != nil {
				return
			}
			_, _ = server.Write(buffer[:n])
			_ = server.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if n, err = server.Read(buffer); err != nil {
				_, _ = client.Write([]byte("-ERR Connection timed out\r\n"))
				return
			}
			_, _ = client.Write(buffer[:n])
		}
	}
	open.Go(func() { // ends when the listener is closed
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { pass(client) }) // ends with the client
		}
	})
	return listener.Addr().String()
}

func TestProxyThatGivesUpBeforeItsServerLeavesNoKey(t *testing.T) {
	t.Parallel()
	const ttl = 5 * time.Second
	all := startServers(t, 3, redisproc.Options{})
	// The proxy knows no HELLO, so no client that greets gets through.
	locker := viaRedigo.NewLocker(t, impatient(t, all.addrs()), nil, redlock.WithTTL(ttl), redlock.WithNodeTimeout(time.Second))
	mustUnlock(t, mustLock(t, locker, "before"))

	all.freeze(t)
	_, err := locker.TryLock(context.Background(), "job")
	wantError(t, err, redlock.ErrNoQuorum)
	wantText(t, err, "Connection timed out")
	closed := make(chan error, 1)
	go func() { // ends at the end of its context at the latest
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		closed <- locker.Close(ctx)
	}()
	select {
	case err := <-closed:
		t.Errorf("Close says %v while the servers are frozen with the command in their sockets", err)
		closed <- err
	case <-time.After(1500 * time.Millisecond):
	}
	all.thaw(t)
	thawed := time.Now()
	other := viaGoRedis.Locker(t, all.addrs(), redlock.WithTTL(ttl))
	mustUnlock(t, mustLock(t, other, "job"))
	if took := time.Since(thawed); took > ttl*4/5 {
		t.Errorf("others got the lock only %v after the thaw", took)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if keys := all.keys(t); len(keys) != 0 {
		t.Errorf("keys are left: %q", keys)
	}
}
