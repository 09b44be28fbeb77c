package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/quorumlock/quorumlock/redlocktest"
)

// screen is a terminal with a program on it.
type screen struct {
	t    *testing.T
	cmd  *exec.Cmd
	keys *os.File

	mu      sync.Mutex // protects the rest
	text    bytes.Buffer
	changed chan struct{} // closed and replaced with each output
	ended   bool
}

// onTerminal starts cmd as the leader of a session with a terminal of its own.
func onTerminal(t *testing.T, cmd *exec.Cmd, columns, rows uint16) *screen {
	t.Helper()
	// Not blocking, so that Close ends a Read, also if another process has the terminal open.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		skip(t, fmt.Sprintf("no pseudo terminals here: %v", err))
	}
	keys := os.NewFile(uintptr(fd), "/dev/ptmx")
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, cmd: cmd, keys: keys, changed: make(chan struct{})}
	read := make(chan struct{})
	go func() { // ends when no process has the terminal open any more
		defer close(read)
		s.read()
	}()
	watchdog := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		watchdog.Stop()
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // its own group; a no-op after its end
		_ = keys.Close()                              // hangs up: that ends whatever else is on it
		<-read
	})
	return s
}

func (s *screen) read() {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.keys.Read(buf)
		s.mu.Lock()
		s.text.Write(buf[:n])
		s.ended = err != nil
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until text was written, n times.
func (s *screen) await(text string, n int) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mu.Lock()
		got, changed, ended := s.text.String(), s.changed, s.ended
		s.mu.Unlock()
		if strings.Count(got, text) >= n {
			return
		}
		if ended {
			s.t.Fatalf("%q did not come %d times: %q", text, n, got)
		}
		select {
		case <-changed:
		case <-deadline:
			s.t.Fatalf("%q does not come %d times: %q", text, n, got)
		}
	}
}

func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, keys); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the program's end and returns its exit code and all that was
// written.
func (s *screen) end() (int, string) {
	_ = s.cmd.Wait()
	for {
		s.mu.Lock()
		got, changed, ended := s.text.String(), s.changed, s.ended
		s.mu.Unlock()
		if ended {
			return s.cmd.ProcessState.ExitCode(), got
		}
		<-changed
	}
}

func TestCtrlCReachesTheCommandOnce(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	s := onTerminal(t, command(lockArgs(cluster, "sh", "-c",
		`n=0; trap "n=\$((n+1)); echo interrupt \$n" INT; trap "exit 7" TERM; echo ready; while :; do sleep 0.01; done`)...), 80, 24)
	s.await("ready", 1)
	s.press("\x03")
	s.await("interrupt 1", 1)
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // comes after whatever was passed on before
	if code, out := s.end(); code != 7 || strings.Contains(out, "interrupt 2") {
		t.Errorf("exit code %d, screen %q", code, out)
	}
}

func TestACommandThatReadsFromTheTerminalGetsIt(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	s := onTerminal(t, command(lockArgs(cluster, "sh", "-c",
		`echo ready; read line; echo "read <$line>"; trap "echo interrupted; exit 9" INT; echo again; while :; do sleep 0.01; done`)...), 80, 24)
	s.await("ready", 1)
	s.press("hello\n")
	s.await("read <hello>", 1)
	s.await("again", 1)
	s.press("\x03")
	if code, out := s.end(); code != 9 || strings.Count(out, "interrupted") != 1 {
		t.Errorf("exit code %d, screen %q", code, out)
	}
}

func TestCtrlZStopsCommandAndRedlockAndFgContinuesBoth(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		skip(t, "needs bash, for its job control")
	}
	cluster := redlocktest.New(t, 3)
	// One process and no forks: a shell that is stopped between vfork and exec
	// cannot be stopped properly, under redlock or not.
	redlock := command(with(lockArgs(cluster, "sh", "-c", `echo ready; exec sleep 1`), "--ttl", "60s")...)
	shell := exec.Command(bash, "--norc", "--noprofile", "-i")
	shell.Env = append(redlock.Env, "PS1=prompt> ", "HISTFILE=")
	s := onTerminal(t, shell, 200, 24)
	s.await("prompt> ", 1)
	s.press("'" + strings.Join(redlock.Args, "' '") + "'\n")
	s.await("ready\r\n", 1)
	s.press("\x1a")
	s.await("Stopped", 1)
	s.press("fg\n")
	s.press("echo code=$?\n")
	s.await("code=0", 1)
	s.press("exit\n")
	s.end()
}

var escape = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]`)

func TestTheDemoDrawsOnATerminalAndGivesItBack(t *testing.T) {
	t.Parallel()
	const columns = 60
	cmd := command("demo")
	cmd.Env = append(cmd.Env, "TERM=xterm", "LC_ALL=C.UTF-8", "NO_COLOR=")
	s := onTerminal(t, cmd, columns, 24)
	s.await("held by", 20)
	s.press("\x03")
	code, out := s.end()
	if code != 130 {
		t.Errorf("exit code %d", code)
	}
	picture, after, found := strings.Cut(out, "\x1b[?25h\x1b[?1049l")
	if !found || !strings.HasPrefix(picture, "\x1b[?1049h\x1b[?25l") {
		t.Fatalf("it does not enter and leave the alternate screen: %q", out)
	}
	if !strings.Contains(after, "0 moments with two holders") {
		t.Errorf("no summary after the picture: %q", after)
	}
	picture = strings.ReplaceAll(picture, "^C", "") // the terminal's echo, wherever in a frame it comes
	for frame := range strings.SplitSeq(picture, "\x1b[H") {
		for line := range strings.SplitSeq(frame, "\r\n") {
			text := strings.ReplaceAll(escape.ReplaceAllString(line, ""), "\r", "")
			if n := len([]rune(text)); n > columns {
				t.Errorf("%d columns: %q", n, line)
			}
		}
	}
	if !strings.Contains(picture, "\x1b[1mredlock demo") {
		t.Error("no colours")
	}
}

func TestDoctorWritesLinesAsWideAsTheTerminal(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1)
	for _, columns := range []uint16{50, 120} {
		code, out := onTerminal(t, command(doctorArgs("", all, "--ttl", "60s", "--node-timeout", "20s")...), columns, 24).end()
		longest := 0
		for line := range strings.Lines(out) {
			longest = max(longest, utf8.RuneCountInString(strings.TrimRight(line, "\r\n"))) // there may be a µ
		}
		if code != exitDoubtful || longest > int(columns) || longest < int(columns)-20 {
			t.Errorf("code %d, lines of %d in %d columns:\n%s", code, longest, columns, out)
		}
	}
}
