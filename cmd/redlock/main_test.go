package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quorumlock/quorumlock/cmd/redlock/internal/child"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// asCommand makes the test binary be the command.
const asCommand = "TEST_BINARY_IS_THE_COMMAND"

func TestMain(m *testing.M) {
	child.Guard() // of a command that was started by another process of this binary
	if os.Getenv(asCommand) != "" {
		main()
	}
	heed()
	if err := os.Setenv(portVariable, freePorts()); err != nil { // where nothing listens
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// freePorts returns the first of so many ports as "redlock masters" needs.
func freePorts() string {
	for {
		port := 11000 + rand.IntN(4000)
		if cluster, err := redlocktest.StartAt(port, embeddedNodes); err == nil {
			cluster.Close()
			return strconv.Itoa(port)
		}
	}
}

// heed reverts what a shell does to background jobs and nohup to everything: they
// ignore signals, and would pass that on to every process that a test starts. A
// signal that is caught has its default effect in a child.
func heed() {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// patience is how long a test waits for something that happens at once.
const patience = time.Minute

// process is redlock, running.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr buffer
}

// buffer is read while it is written to.
type buffer struct {
	mu sync.Mutex // protects b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// start starts redlock with these arguments.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startCommand(t, command(args...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd}
	stdout, write, err := os.Pipe() // StdoutPipe would be closed by Wait
	if err != nil {
		t.Fatal(err)
	}
	if cmd.Stdout = write; cmd.Stderr == nil {
		cmd.Stderr = &p.stderr
	}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	cmd.WaitDelay = patience // a test that fails may leave grandchildren behind, which keep stderr open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	p.stdout = bufio.NewReader(stdout)
	watchdog := time.AfterFunc(patience, func() { _ = cmd.Process.Kill(); _ = stdout.Close() })
	t.Cleanup(func() {
		watchdog.Stop()
		_ = p.stdin.Close()
		_ = stdout.Close()
	})
	return p
}

// line returns the next line of the standard output.
func (p *process) line() string {
	p.t.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		p.t.Fatalf("no line came (%q, %v); stderr:\n%s", line, err, p.stderr.String())
	}
	return strings.TrimSuffix(line, "\n")
}

func (p *process) expectLine(want string) {
	p.t.Helper()
	if got := p.line(); got != want {
		p.t.Fatalf("the command wrote %q, want %q; stderr:\n%s", got, want, p.stderr.String())
	}
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for the end and returns exit code and the rest of the output.
func (p *process) end() (code int, stdout string) {
	p.t.Helper()
	rest, _ := io.ReadAll(p.stdout)
	err := p.cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("wait: %v; stderr:\n%s", err, p.stderr.String())
	}
	return p.cmd.ProcessState.ExitCode(), string(rest)
}

func (p *process) expectCode(want int) string {
	p.t.Helper()
	code, stdout := p.end()
	if code != want {
		p.t.Fatalf("exit code %d, want %d; stdout:\n%s\nstderr:\n%s", code, want, stdout, p.stderr.String())
	}
	return stdout
}

func (p *process) expectSaid(text string) {
	p.t.Helper()
	if !strings.Contains(p.stderr.String(), text) {
		p.t.Errorf("stderr does not say %q:\n%s", text, p.stderr.String())
	}
}

const lockName = "backup"

// lockArgs are the arguments of "redlock run" on the nodes of a cluster, with
// times that suit a busy machine, and the command.
func lockArgs(cluster *redlocktest.Cluster, command ...string) []string {
	args := []string{"run", "--name", lockName, "--ttl", "2s", "--node-timeout", "500ms"}
	for _, addr := range cluster.Addrs() {
		args = append(args, "--node", "redis://"+addr)
	}
	return append(append(args, "--"), command...)
}

// with adds flags before the command.
func with(args []string, flags ...string) []string {
	return slices.Insert(slices.Clone(args), slices.Index(args, "--"), flags...)
}

// carriers is how many nodes have the lock's key.
func carriers(cluster *redlocktest.Cluster) int { return carriersOf(cluster, lockName) }

func carriersOf(cluster *redlocktest.Cluster, key string) int {
	n := 0
	for _, node := range cluster.Nodes() {
		if _, ok := node.Get(key); ok {
			n++
		}
	}
	return n
}

// skip skips a test for want of something, but not in CI, where it must be there.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
