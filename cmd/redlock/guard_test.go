//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

// expectEnded is expectDead for a process whose parent may be long in waiting for it.
func (p *process) expectEnded(pid string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); runs(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("process %s lives on", pid)
		}
	}
}

// runs reports whether a process runs, and is no zombie.
func runs(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 1 || syscall.Kill(n, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	return err != nil && runtime.GOOS != "linux" || err == nil && !bytes.Contains(stat, []byte(") Z "))
}

// awaitGuard returns the guard of a redlock, other than the one given.
func (p *process) awaitGuard(other string) string {
	p.t.Helper()
	if runtime.GOOS != "linux" {
		p.t.Skip("needs /proc")
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
		for _, file := range children {
			of, _ := os.ReadFile(file)
			for _, pid := range strings.Fields(string(of)) {
				args, _ := os.ReadFile("/proc/" + pid + "/cmdline")
				if pid != other && bytes.HasPrefix(args, []byte("redlock: ends the command")) {
					return pid
				}
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatal("there is no guard")
		}
	}
}

func TestTheWholeGroupOfTheCommandEndsWhenRedlockIsKilled(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for name, command := range map[string]string{
		"a child that sleeps":            `sleep 1000 & echo $!; wait`,
		"a child of a child":             `sh -c 'sleep 1000 & echo $!; wait' & wait`,
		"a child that ignores SIGTERM":   `(trap "" TERM; exec sleep 1000) & echo $!; wait`,
		"a child that is stopped":        `sleep 1000 & kill -STOP $!; echo $!; wait`,
		"a child, and the shell ignores": `trap "" TERM; sleep 1000 & echo $!; wait`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, with(lockArgs(cluster, "sh", "-c", command), "--grace", "200ms", "--name", name)...)
			grandchild := p.line()
			p.signal(syscall.SIGKILL)
			p.end()
			p.expectEnded(grandchild)
		})
	}
}

func TestTheGroupEndsWhenTheProcessGroupOfRedlockIsStoppedAndKilled(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	cmd := command(with(lockArgs(cluster, "sh", "-c", `sleep 1000 & echo $!; wait`), "--grace", "200ms")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := startCommand(t, cmd)
	grandchild := p.line()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGSTOP)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	p.end()
	p.expectEnded(grandchild)
}

func TestAGuardThatDiesIsReplaced(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, lockArgs(cluster, "sh", "-c", `sleep 1000 & echo $!; wait`)...)
	grandchild := p.line()
	first := p.awaitGuard("")
	pid, _ := strconv.Atoi(first)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	second := p.awaitGuard(first)
	if !runs(grandchild) {
		t.Fatal("the command ended with the guard")
	}
	p.signal(syscall.SIGKILL)
	p.end()
	p.expectEnded(grandchild)
	p.expectEnded(second)
}

func TestWhatACommandLeavesInTheBackgroundLivesOnAndTheGuardEnds(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, lockArgs(cluster, "sh", "-c", `sleep 1000 >/dev/null 2>&1 & echo $!; read line; exit 3`)...)
	grandchild := p.line()
	guard := p.awaitGuard("")
	_ = p.stdin.Close()
	p.expectCode(3)
	if runs(guard) {
		t.Error("the guard lives on")
	}
	if n := carriers(cluster); n != 0 {
		t.Errorf("%d nodes still have the key", n)
	}
	if !runs(grandchild) {
		t.Error("the child in the background was ended, too")
	}
	pid, _ := strconv.Atoi(grandchild)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestTheGuardHasNoFilesAndNoPasswordsOfOthers(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := command(lockArgs(cluster, "sh", "-c", `read line`)...)
	cmd.ExtraFiles = []*os.File{file}
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, nodesVariable+"=redis://:s3cret@nowhere")
	p := startCommand(t, cmd)
	guard := p.awaitGuard("")
	mine := func(fd string) bool { // of redlock's caller, or of redlock
		to, err := os.Readlink(fd)
		return err == nil && (strings.HasPrefix(to, dir) || strings.HasPrefix(to, "pipe:"))
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // it has just been started
		fds, _ := filepath.Glob("/proc/" + guard + "/fd/*")
		var open []string
		for _, fd := range append(fds, "/proc/"+guard+"/cwd") {
			if mine(fd) {
				open = append(open, fd)
			}
		}
		if len(open) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("it has %v", open)
			break
		}
	}
	if env, err := os.ReadFile("/proc/" + guard + "/environ"); err != nil || len(env) > 0 {
		t.Errorf("its environment has %d bytes, %v", len(env), err)
	}
	_ = p.stdin.Close()
	p.expectCode(1)
}

func TestTheCommandHasNoFilesOfRedlock(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	cluster := redlocktest.New(t, 3)
	open := func(cmd *exec.Cmd) string {
		return strings.Join(strings.Fields(startCommand(t, cmd).expectCode(0)), " ")
	}
	want := open(exec.Command("ls", "/proc/self/fd")) // with the files that the caller of the tests left open
	if got := open(command(lockArgs(cluster, "ls", "/proc/self/fd")...)); got != want {
		t.Errorf("it has %s, and without redlock %s", got, want)
	}
}

func TestTheCommandStartsWithWhatRedlockWasStartedWith(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	cluster := redlocktest.New(t, 3)
	dir := t.TempDir()
	var open [30]*os.File // around the numbers that redlock uses
	for _, i := range []int{0, 2, len(open) - 1} {
		file, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		open[i] = file
	}
	const script = `umask; pwd; ulimit -Sn; ulimit -Hn; ulimit -Sc
for fd in 3 5 32; do readlink /proc/self/fd/$fd; done
grep -E "Sig(Blk|Ign)|NoNewPrivs|CapEff" /proc/self/status
env | grep -v -E "^(REDLOCK_|_=)" | sort`
	output := func(argv ...string) string {
		around := []string{"-c", `trap "" HUP INT; umask 027; ulimit -c 0; ulimit -Sn 200; exec "$@"`, "sh"}
		cmd := exec.Command("sh", append(around, argv...)...)
		cmd.Dir = dir
		cmd.Env = append(command().Env, "GODEBUG=inittrace=1", "GOTRACEBACK=none", "EMPTY=", "LINES=a\nb", "BYTES=\xff")
		cmd.ExtraFiles = open[:]
		p := startCommand(t, cmd)
		out := p.expectCode(0)
		if n := strings.Count(p.stderr.String(), "init runtime "); n > 1 {
			t.Errorf("%d processes printed what GODEBUG asks for", n)
		}
		return out
	}
	want := output("sh", "-c", script)
	if got := output(command(lockArgs(cluster, "sh", "-c", script)...).Args...); got != want {
		t.Errorf("it started with\n%s\nand without redlock with\n%s", got, want)
	}
}

func TestACommandWhoseInterpreterIsMissingIs127AndReleasesTheLock(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	file := filepath.Join(t.TempDir(), "backup.sh")
	if err := os.WriteFile(file, []byte("#!/no/such/interpreter\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := start(t, lockArgs(cluster, file)...)
	p.expectCode(exitNotFound)
	p.expectSaid("fork/exec " + file + ": no such file")
	if n := carriers(cluster); n != 0 {
		t.Errorf("%d nodes still have the key", n)
	}
}
