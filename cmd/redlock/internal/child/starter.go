//go:build unix

package child

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// The command may have children as soon as it runs, and redlock may be killed at that moment.
// So the guard must know the command's process group before the command runs. A group has no number
// before it has a process. That process is the starter: another process of this program, with the
// process group, the files and the working directory of the command. Redlock sends the group to the
// guard, and then the command to the starter. The starter replaces itself with the command.
//
//   - If redlock is killed before it has sent both, the starter reads an end of file, and ends. If
//     redlock is killed later, the guard knows the group.
//   - The starter runs on the thread that was started, as init functions do: the signal at the
//     parent's death is that thread's own, and stays with it when the program is replaced.
//   - The socket keeps its number in the starter, so the numbers of all files that the caller of
//     redlock left open stay theirs. It is closed when the program is replaced.
//   - Arguments and environment of the command come over the socket. In the starter's own, a
//     GODEBUG would act, and a command of the greatest length would not fit.
//   - It is no tracer: a set-user-ID command would lose its rights.
//
// It takes about 7 ms of processor time.

// starterName is the starter's first argument: what ps shows. The second is the socket's number.
const starterName = "redlock: starts the command"

// A starter is a process that waits for the command to run.
type starter struct {
	pid    int
	pidfd  int      // stands for the process, -1 if this system has none
	socket *os.File // the starter has the other end
}

// newStarter starts a starter.
func newStarter() (*starter, error) {
	path, err := itself()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	s := &starter{pidfd: -1, socket: os.NewFile(uintptr(ours), "socket")}
	s.pid, err = start(path, []string{starterName, strconv.Itoa(theirs)}, []string{}, filesUpTo(theirs), &s.pidfd)
	_ = unix.Close(theirs)
	if err != nil {
		_ = s.socket.Close()
		return nil, err
	}
	return s, nil
}

// filesUpTo are the files that the command inherits, under their numbers, and the socket.
func filesUpTo(socket int) []uintptr {
	const closed = ^uintptr(0)
	files := []uintptr{0, 1, 2}
	for fd := len(files); fd < socket; fd++ {
		if inherited(fd) {
			files = append(files, uintptr(fd))
		} else {
			files = append(files, closed)
		}
	}
	return append(files, uintptr(socket))
}

// inherited reports whether a file is open that is not closed on exec. The caller of redlock has
// left it open for the command: those that redlock and the Go runtime open are closed.
func inherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// become lets the starter become the command, and returns when it has. A starter that fails ends.
func (s *starter) become(path string, argv, env []string) error {
	defer s.socket.Close()
	words := slices.Concat([]string{path}, argv, env)
	body := strings.Join(words, "\x00")
	if strings.Count(body, "\x00") != len(words)-1 {
		return &os.PathError{Op: "fork/exec", Path: path, Err: syscall.EINVAL} // as execve could not take it either
	}
	message := binary.NativeEndian.AppendUint64(nil, uint64(len(argv)))
	message = binary.NativeEndian.AppendUint64(message, uint64(len(body)))
	_, _ = s.socket.Write(append(message, body...)) // if it fails, there is no answer
	answer, _ := io.ReadAll(s.socket)
	switch {
	case len(answer) == 0:
		return errors.New("the process that was to become the command has ended")
	case len(answer) > 1:
		return &os.PathError{Op: "fork/exec", Path: path, Err: syscall.Errno(binary.NativeEndian.Uint64(answer[1:]))}
	}
	return nil // the socket was closed as it became the command
}

// reap waits for the end of a starter that could not become the command.
func (s *starter) reap() {
	for {
		if _, err := unix.Wait4(s.pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// init runs the starter if this process is one.
func init() {
	if len(os.Args) != 2 || os.Args[0] != starterName {
		return
	}
	fd, err := strconv.Atoi(os.Args[1])
	if err != nil {
		os.Exit(1)
	}
	unix.CloseOnExec(fd)
	socket := os.NewFile(uintptr(fd), "socket")
	var sizes [16]byte
	if _, err := io.ReadFull(socket, sizes[:]); err != nil {
		os.Exit(1) // redlock was killed
	}
	body := make([]byte, binary.NativeEndian.Uint64(sizes[8:]))
	if _, err := io.ReadFull(socket, body); err != nil {
		os.Exit(1)
	}
	words := strings.Split(string(body), "\x00")
	env := 1 + binary.NativeEndian.Uint64(sizes[:])
	if _, err := socket.Write([]byte{1}); err != nil { // so that its end differs from a crash before exec
		os.Exit(1)
	}
	errno := syscall.Errno(0)
	_ = errors.As(syscall.Exec(words[0], words[1:env], words[env:]), &errno)
	_, _ = socket.Write(binary.NativeEndian.AppendUint64(nil, uint64(errno)))
	os.Exit(1)
}
