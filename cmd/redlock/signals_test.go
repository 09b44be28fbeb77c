//go:build unix

package main

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/quorumlock/quorumlock/redlocktest"
)

func TestSignalsArePassedOn(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for name, sig := range map[string]syscall.Signal{
		"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "QUIT": syscall.SIGQUIT,
		"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "WINCH": syscall.SIGWINCH,
	} {
		p := start(t, lockArgs(cluster, "sh", "-c", `trap "echo got it; exit 7" `+name+`; echo ready; while :; do sleep 0.01; done`)...)
		p.expectLine("ready")
		p.signal(sig)
		p.expectLine("got it")
		p.expectCode(7)
	}
}

func TestASignalToEndReachesWhatAScriptIsWaitingFor(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, lockArgs(cluster, "sh", "-c", `echo ready; sleep 1000; echo after`)...)
	p.expectLine("ready")
	p.signal(syscall.SIGTERM)
	p.expectCode(143)
}

func TestAPrivateSignalReachesTheCommandAndNotItsChildren(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, lockArgs(cluster, "sh", "-c", `sleep 1000 & trap 'kill -0 $! && echo alive; kill $!; exit 7' USR1; echo ready; while :; do sleep 0.01; done`)...)
	p.expectLine("ready")
	p.signal(syscall.SIGUSR1)
	p.expectLine("alive")
	p.expectCode(7)
}

func TestASignalThatWasIgnoredStaysIgnored(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	redlock := command(lockArgs(cluster, "sh", "-c", `kill -HUP $$; echo alive`)...)
	nohup := exec.Command("sh", append([]string{"-c", `trap "" HUP; exec "$@"`, "sh"}, redlock.Args...)...)
	nohup.Env = redlock.Env
	p := startCommand(t, nohup)
	p.expectLine("alive")
	p.expectCode(0)
}

func TestTheCommandDiesWithRedlock(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process that its parent died")
	}
	cluster := redlocktest.New(t, 3)
	p := start(t, lockArgs(cluster, "sh", "-c", `echo $$; exec sleep 1000`)...)
	pid := p.line()
	p.signal(syscall.SIGKILL)
	p.end()
	p.expectDead(pid)
}
