package redisproc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestAServerAnswersAndStartsAgainEmptyOnTheSameAddress(t *testing.T) {
	s := Start(t, Options{})
	must(t, s, "SET", "k", "v")
	want(t, s, "v", "GET", "k")
	pid := s.PID()

	s.Kill()
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Fatal("a killed server takes connections")
	}
	s.Restart()
	if s.PID() == pid {
		t.Fatal("the process is the same")
	}
	want(t, s, nil, "GET", "k")
}

func TestAServerWithAppendOnlyFileKeepsWhatItAnsweredThroughAKill(t *testing.T) {
	s := Start(t, Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	must(t, s, "SET", "k", "v")
	s.Restart()
	want(t, s, "v", "GET", "k")
}

func TestAFrozenServerAcceptsAndExecutesOnThaw(t *testing.T) {
	s := Start(t, Options{Timeout: 300 * time.Millisecond})
	must(t, s, "SET", "before", "v") // the connection is accepted by the kernel
	s.Freeze()
	if _, err := s.Do("SET", "k", "late"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a frozen server: %v, want a deadline", err)
	}
	s.Thaw()
	for deadline := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		if v, _ := s.Do("GET", "k"); v == "late" {
			return // sent by a client that had hung up
		}
		if time.Now().After(deadline) {
			t.Fatal("the command that was sent while frozen was never executed")
		}
	}
}

func TestAFrozenServerCanBeStopped(t *testing.T) {
	s := Start(t, Options{})
	s.Freeze()
	s.Stop()
	s.Stop()
	if s.PID() != 0 {
		t.Fatal("it is still there")
	}
}

func TestDoAuthenticatesAndReturnsEveryKindOfReply(t *testing.T) {
	s := Start(t, Options{Password: "secret"})
	want(t, s, int64(1), "INCR", "n")
	want(t, s, nil, "GET", "missing")
	got, err := s.Do("EVAL", "return {1, 'two', {}, redis.error_reply('BAD thing')}", "0")
	if err != nil || fmt.Sprint(got) != fmt.Sprint([]any{int64(1), "two", []any{}, Error("BAD thing")}) {
		t.Fatalf("%v, %v", got, err)
	}
	var refusal Error
	if _, err := s.Do("INCR"); !errors.As(err, &refusal) {
		t.Fatalf("%v, want an error of the server", err)
	}
}

func TestAServerWhosePasswordIsUnknownCountsAsStarted(t *testing.T) {
	s := Start(t, Options{Args: []string{"--requirepass", "secret"}})
	var refusal Error
	if _, err := s.Do("GET", "k"); !errors.As(err, &refusal) {
		t.Fatalf("%v, want NOAUTH", err)
	}
}

func TestAPortThatWasTakenInBetweenIsReportedAsThat(t *testing.T) {
	other := Start(t, Options{})
	binary, err := find()
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(binary, t.TempDir(), other.reserved, Options{Timeout: defaultTimeout})
	if err := s.start(); !errors.Is(err, errPortTaken) {
		t.Fatalf("%v, want %v", err, errPortTaken)
	}
}

func TestAServerThatEndsAtOnceIsReportedWithItsOutput(t *testing.T) {
	if _, err := find(); err != nil {
		skip(t, err)
	}
	_, err := Launch(Options{Args: []string{"--no-such-option", "1"}})
	if err == nil {
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("the error does not show what the server said: %v", err)
	}
}

// skip skips a test for want of redis-server, but not in CI, which installs it.
func skip(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

func TestLaunchRemovesItsDirectory(t *testing.T) {
	s, err := Launch(Options{})
	if errors.Is(err, ErrNotInstalled) {
		skip(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s: %v", s.dir, err)
	}
}

// recorder is a TB that ends its goroutine where a test would end.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Skipf(string, ...any)  { r.skipped = true; runtime.Goexit() }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; runtime.Goexit() }

func TestAMissingBinarySkipsTheTestButFailsInCI(t *testing.T) {
	t.Setenv("REDIS_SERVER", filepath.Join(t.TempDir(), "nothing"))
	for _, ci := range []string{"", "true"} {
		t.Setenv("CI", ci)
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() { defer close(done); Start(r, Options{}) }()
		<-done
		if r.skipped != (ci == "") || r.failed != (ci != "") {
			t.Errorf("CI=%q: skipped %v, failed %v", ci, r.skipped, r.failed)
		}
	}
}

func must(t *testing.T, s *Server, args ...string) any {
	t.Helper()
	v, err := s.Do(args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

func want(t *testing.T, s *Server, want any, args ...string) {
	t.Helper()
	if got := must(t, s, args...); got != want {
		t.Fatalf("%v = %v, want %v", args, got, want)
	}
}
