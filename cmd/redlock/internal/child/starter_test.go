//go:build unix

package child

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onOneThread keeps the test on the thread that starts processes: they end with it.
func onOneThread(t *testing.T) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

// statusOf waits for the end of a process.
func statusOf(t *testing.T, pid int) unix.WaitStatus {
	t.Helper()
	watchdog := time.AfterFunc(time.Minute, func() { _ = unix.Kill(pid, unix.SIGKILL) })
	defer watchdog.Stop()
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); err == nil {
			return status
		} else if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

func TestTheCommandDoesNotRunBeforeTheGuardGotItsMessage(t *testing.T) {
	onOneThread(t)
	toGuard, ofGuard, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(toGuard)
	// The message cannot be sent before the guard has read what fills the socket.
	_ = unix.SetNonblock(toGuard, true)
	for err == nil {
		_, err = unix.Write(toGuard, make([]byte, 1<<10))
	}
	for err = nil; err == nil; {
		_, err = unix.Write(toGuard, make([]byte, 1))
	}
	_ = unix.SetNonblock(toGuard, false)

	s, err := newStarter()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ran")
	ran := func() bool { _, err := os.Stat(file); return err == nil }
	early := make(chan bool)
	go func() { // ends when the socket does
		time.Sleep(200 * time.Millisecond)
		early <- ran()
		for n := 1; n > 0; {
			n, _ = unix.Read(ofGuard, make([]byte, 1<<16))
		}
	}()
	launched := make(chan error, 1)
	go func() {
		launched <- launch(&guard{end: toGuard}, s, "/bin/sh", []string{"sh", "-c", `: >"$0"`, file}, nil, 0)
	}()
	if <-early {
		t.Error("it ran")
	}
	if err := <-launched; err != nil {
		t.Fatal(err)
	}
	if status := statusOf(t, s.pid); status.ExitStatus() != 0 || !ran() {
		t.Errorf("it ended with %v; did it run? %v", status, ran())
	}
	_ = unix.Shutdown(toGuard, unix.SHUT_RDWR)
}

func TestAStarterWithAnIncompleteMessageRunsNothing(t *testing.T) {
	onOneThread(t)
	file := filepath.Join(t.TempDir(), "ran")
	body := "/bin/sh\x00sh\x00-c\x00: >\"$0\"\x00" + file
	message := binary.NativeEndian.AppendUint64(nil, 4)
	message = binary.NativeEndian.AppendUint64(message, uint64(len(body)))
	message = append(message, body...)
	for _, sent := range []int{0, 8, 16, len(message) - 1, len(message)} {
		s, err := newStarter()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.socket.Write(message[:sent]); err != nil {
			t.Fatal(err)
		}
		_ = unix.Shutdown(int(s.socket.Fd()), unix.SHUT_WR) // as if redlock were killed now
		status := statusOf(t, s.pid)
		_ = s.socket.Close()
		_, err = os.Stat(file)
		if all := sent == len(message); all != (status.ExitStatus() == 0) || all != (err == nil) {
			t.Errorf("after %d of %d bytes it ended with %v; the file: %v", sent, len(message), status, err)
		}
	}
}

func TestAStarterThatIsKilledIsAnErrorAndNoCommand(t *testing.T) {
	onOneThread(t)
	s, err := newStarter()
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Kill(s.pid, unix.SIGKILL)
	if err := s.become("/bin/true", []string{"true"}, nil); err == nil {
		t.Error("there is no error")
	}
	s.reap()
}

func TestAStringThatNoProgramCanBeGivenIsAnError(t *testing.T) {
	onOneThread(t)
	s, err := newStarter()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.become("/bin/true", []string{"true", "a\x00b"}, nil); err == nil {
		t.Error("there is no error")
	}
	s.reap()
}

func TestACommandThatIsLongerThanTheSocketHoldsRuns(t *testing.T) {
	onOneThread(t)
	s, err := newStarter()
	if err != nil {
		t.Fatal(err)
	}
	argv := append([]string{"sh", "-c", `test $# = 1200 && test ${#LONG} = 100000`, "sh"}, slices.Repeat([]string{strings.Repeat("x", 1000)}, 1200)...)
	if err := s.become("/bin/sh", argv, []string{"LONG=" + strings.Repeat("x", 100_000)}); err != nil {
		t.Fatal(err)
	}
	if status := statusOf(t, s.pid); status.ExitStatus() != 0 {
		t.Errorf("it ended with %v", status)
	}
}
