package servers_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/test/internal/testbed"
)

// A program has one context, which ends with SIGTERM, and cleans up with it. A hundred
// programs with REDLOCK_LONG set, a few without.
func TestATerminatedProgramLeavesNoKeyThoughItsOnlyContextHasEnded(t *testing.T) {
	if addrs := os.Getenv(programAddrs); addrs != "" {
		program(t, strings.Fields(addrs))
		return
	}
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGTERM")
	}
	runs := 4
	if long() {
		runs = 50
	}
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		for range runs {
			cmd := exec.Command(os.Args[0], "-test.run=^"+strings.Split(t.Name(), "/")[0]+"$")
			cmd.Env = append(os.Environ(), programAddrs+"="+strings.Join(all.addrs(), " "), programLibrary+"="+lib.Name, "GORACE=atexit_sleep_ms=0")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := bufio.NewScanner(out)
			for said.Scan() && said.Text() != "held" {
			}
			_ = cmd.Process.Signal(syscall.SIGTERM)
			var rest []string
			for said.Scan() {
				rest = append(rest, said.Text())
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("the program: %v: %q", err, rest)
			}
			if keys := all.keys(t); len(keys) > 0 {
				t.Errorf("left: %q", keys)
				all.must(t, "FLUSHALL")
			}
		}
	})
}

const (
	programAddrs   = "QUORUMLOCK_TEST_PROGRAM_ADDRS"
	programLibrary = "QUORUMLOCK_TEST_PROGRAM_LIBRARY"
)

// program is the usual program, in a process of its own. It does not wait for anything
// after Close.
func program(t *testing.T, addrs []string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for _, lib := range testbed.Libraries {
		if lib.Name != os.Getenv(programLibrary) {
			continue
		}
		locker := lib.NewLocker(t, addrs, nil)
		lock, err := locker.Lock(ctx, "job", redlock.WithKeepAlive())
		if err != nil {
			t.Fatal(err)
		}
		waiter := locker.LockAsync(ctx, "job")
		fmt.Println("held")
		<-ctx.Done()
		code := 0
		if err := lock.Unlock(ctx); err != nil {
			fmt.Println(err)
			code = 1
		}
		waiter.Cancel()
		if err := locker.Close(ctx); err != nil {
			fmt.Println(err)
			code = 1
		}
		os.Exit(code)
	}
	t.Fatalf("no library %q", os.Getenv(programLibrary))
}
