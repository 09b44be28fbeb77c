//go:build unix

package main

import (
	"io"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

// takeMajority makes the lock be lost.
func takeMajority(cluster *redlocktest.Cluster) {
	cluster.Node(0).Stop()
	cluster.Node(1).Freeze()
}

// expectDead waits until a process is gone. It is not our child, so that can
// only be polled.
func (p *process) expectDead(pid string) {
	p.t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 1 {
		p.t.Fatalf("no process number: %q", pid)
	}
	for deadline := time.Now().Add(patience); syscall.Kill(n, 0) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(n, syscall.SIGKILL)
			p.t.Fatalf("process %d lives on", n)
		}
	}
}

func TestALostLockEndsTheCommandWithSIGTERMAndIs79(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, with(lockArgs(cluster, "sh", "-c", `trap "echo terminated; exit 0" TERM; echo ready; while :; do sleep 0.01; done`), "--grace", "25s")...)
	p.expectLine("ready")
	takeMajority(cluster)
	p.expectLine("terminated")
	p.expectCode(exitLost)
	p.expectSaid(`the lock "backup" was lost: lock expired`)
	p.expectSaid("the command ended with exit code 0")
}

func TestACommandThatIgnoresSIGTERMIsKilledAfterTheGraceTimeAndItsChildrenToo(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, with(lockArgs(cluster, "sh", "-c", `trap "" TERM; sleep 1000 & echo $!; wait`), "--grace", "100ms")...)
	grandchild := p.line()
	takeMajority(cluster)
	p.expectCode(exitLost)
	p.expectDead(grandchild)
	p.expectSaid("SIGKILL after 100ms")
	p.expectSaid("exit code 137")
}

func TestAChildOfTheCommandThatOutlivesItIsKilledAfterALoss(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, with(lockArgs(cluster, "sh", "-c", `(trap "" TERM; exec sleep 1000) & echo $!; wait`), "--grace", "100ms")...)
	grandchild := p.line()
	takeMajority(cluster)
	p.expectCode(exitLost)
	p.expectDead(grandchild)
	p.expectSaid("exit code 143")
}

func TestALossEndsTheCommandThoughItsOutputIsNotRead(t *testing.T) {
	for name, full := range map[string]bool{"the pipe is full": true, "its reader is gone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := redlocktest.New(t, 3)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer read.Close()
			defer write.Close()
			_ = write.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			for full && err == nil {
				_, err = write.Write(make([]byte, 1024))
			}
			cmd := command(with(lockArgs(cluster, "sh", "-c", `trap "" TERM; sleep 1000 & echo $!; wait`), "--grace", "100ms")...)
			cmd.Stderr = write
			p := startCommand(t, cmd)
			grandchild := p.line()
			if !full {
				_ = read.Close()
			}
			takeMajority(cluster)
			p.expectDead(grandchild)
			go func() { _, _ = io.Copy(io.Discard, read) }() // ends with the pipe
			p.expectCode(exitLost)
		})
	}
}

func TestAStoppedCommandIsEndedAsWell(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, with(lockArgs(cluster, "sh", "-c", `echo ready; kill -STOP $$`), "--grace", "25s")...)
	p.expectLine("ready")
	takeMajority(cluster)
	p.expectCode(exitLost)
	p.expectSaid("exit code 143")
}

func TestALockThatProvesToHaveBeenLostAtItsReleaseIs79(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, with(lockArgs(cluster, "sh", "-c", `echo ready; read line; exit 0`), "--ttl", "30s")...)
	p.expectLine("ready")
	for _, n := range cluster.Nodes() {
		n.Delete(lockName)
	}
	_ = p.stdin.Close()
	p.expectCode(exitLost)
	p.expectSaid("lock is not held")
}

func TestAReleaseThatIsNotConfirmedIsAWarningOnly(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	p := start(t, with(lockArgs(cluster, "sh", "-c", `echo ready; read line; exit 5`), "--ttl", "30s")...)
	p.expectLine("ready")
	takeMajority(cluster)
	_ = p.stdin.Close()
	p.expectCode(5)
	p.expectSaid("warning: ")
}
