//go:build unix

package child

import (
	"encoding/binary"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A process that is killed by SIGKILL or the OOM killer cannot end its command. So a second process
// of this program, the guard, does that. It has one end of a socket, and only redlock has the other
// end. When redlock's end is closed, the guard ends the command's process group: SIGTERM at once,
// SIGKILL after the grace time.
//
//   - No message is needed at the end. When the command has ended, redlock kills the guard and waits
//     for it. The guard is redlock's child, so its number belongs to no other process. So no guard is left.
//   - The guard has a session of its own. Keys of the terminal, Ctrl-Z, and a signal to redlock's
//     process group (timeout -s KILL) do not reach it.
//   - It keeps no inherited files open: no process waits for it at the other end of a pipe, and no
//     flock(2) outlives redlock.
//   - If it dies first, another one is started.
//   - It gets the group before the command runs: see starter.go. The message stays in the socket if
//     redlock is killed before the guard has read it.
//
// A process that went into a group of its own (setsid, a daemon) gets no signal from the guard, nor
// from redlock.

// guardName is the guard's first argument: what ps shows.
const guardName = "redlock: ends the command if redlock is killed"

// A guard is the process that outlives this one.
type guard struct {
	mu      sync.Mutex // protects process where keep sets it and dismiss reads it, and over
	process *os.Process
	end     int           // of the socket; the guard has the other one
	over    chan struct{} // closed by dismiss
	gone    chan struct{} // closed when keep or discard has ended
	message []byte        // nil until watch
	pidfd   int
}

// startGuard starts the guard before the command is started; later may be too late. The guard has
// nothing to end until watch.
func startGuard() (*guard, error) {
	g := &guard{over: make(chan struct{}), gone: make(chan struct{})}
	if err := g.start(); err != nil {
		return nil, err
	}
	return g, nil
}

// start starts a process. One that replaces another knows the group.
func (g *guard) start() error {
	ours, end, err := socketpair()
	if err != nil {
		return err
	}
	theirs := os.NewFile(uintptr(end), "socket")
	defer theirs.Close()
	g.end = ours
	if g.message != nil {
		g.send() // the message is in the socket before the new guard reads
	}
	process, err := startItself(theirs)
	if err != nil {
		_ = unix.Close(ours)
		return err
	}
	g.process = process
	return nil
}

// socketpair returns both ends of a socket. Only the guard inherits an end. In another process that
// end would stay open, and the other end would never read an end of file.
func socketpair() (ours, theirs int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, 0, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(ends[0])
	unix.CloseOnExec(ends[1])
	return ends[0], ends[1], nil
}

// watch sends the group to the guard.
func (g *guard) watch(group, pidfd int, grace time.Duration) {
	g.pidfd = pidfd
	g.message = binary.NativeEndian.AppendUint64(nil, uint64(group))
	g.message = binary.NativeEndian.AppendUint64(g.message, uint64(grace))
	g.send()
}

func (g *guard) send() {
	var rights []byte
	if g.pidfd >= 0 {
		rights = unix.UnixRights(g.pidfd)
	}
	_ = unix.Sendmsg(g.end, g.message, rights, nil, 0) // if it fails, the guard is gone: see keep
}

// startItself starts this program as the guard.
func startItself(socket *os.File) (*os.Process, error) {
	path, err := itself()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return os.StartProcess(path, []string{guardName}, &os.ProcAttr{
		Dir:   "/",        // so that no file system is busy
		Env:   []string{}, // there may be passwords in it
		Files: []*os.File{socket, null, null},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// itself is the file of this program.
func itself() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil // works also if the file was replaced meanwhile
	}
	return os.Executable()
}

// again is the pause before a guard that died is replaced: the cause of its death may last.
const again = time.Second

// keep replaces the guard when it dies, until it is dismissed.
func (g *guard) keep() {
	defer close(g.gone)
	for {
		_, _ = g.process.Wait()
		_ = unix.Close(g.end)
		for restarted := false; !restarted; {
			select {
			case <-g.over:
				return
			case <-time.After(again):
			}
			g.mu.Lock()
			if !g.dismissed() { // otherwise no call of dismiss is left that kills it
				restarted = g.start() == nil
			}
			g.mu.Unlock()
		}
	}
}

func (g *guard) dismissed() bool {
	select {
	case <-g.over:
		return true
	default:
		return false
	}
}

// discard ends a guard without keep: the command could not be started.
func (g *guard) discard() {
	_ = g.process.Kill()
	_, _ = g.process.Wait()
	_ = unix.Close(g.end)
}

// dismiss ends the guard: the command has ended.
func (g *guard) dismiss() {
	if g == nil {
		return
	}
	g.mu.Lock()
	close(g.over)
	_ = g.process.Kill() // fails if it is gone already
	g.mu.Unlock()
	<-g.gone // it is killed, or none is running
}

// Guard runs the guard if this process is one, and then does not return. Call it before anything
// else.
func Guard() {
	if len(os.Args) != 1 || os.Args[0] != guardName {
		return
	}
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE)
	closeInherited()
	var message [16]byte
	rights := make([]byte, unix.CmsgSpace(4))
	n, oob, err := receive(message[:], rights)
	if err != nil || n < len(message) {
		os.Exit(0) // redlock was killed before it sent a group: there is no command to end
	}
	group := int(binary.NativeEndian.Uint64(message[:]))
	grace := time.Duration(binary.NativeEndian.Uint64(message[8:]))
	ward := ward{group: group, pidfd: pidfdOf(rights[:oob])}
	for n > 0 || errors.Is(err, unix.EINTR) { // the only thing that comes is the end of file
		n, err = unix.Read(0, message[:])
	}
	ward.end(grace)
	os.Exit(0)
}

// receive reads what start sends.
func receive(message, rights []byte) (n, oob int, err error) {
	for {
		n, oob, _, _, err = unix.Recvmsg(0, message, rights, 0)
		if !errors.Is(err, unix.EINTR) {
			return n, oob, err
		}
	}
}

// pidfdOf returns the file descriptor that was sent along, -1 if there is none.
func pidfdOf(rights []byte) int {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) == 0 {
		return -1
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return -1
	}
	return fds[0]
}

// closeInherited closes the files that the caller of redlock left open for the command.
func closeInherited() {
	const most = 1024
	for fd := 3; fd < most; fd++ {
		if inherited(fd) {
			_ = unix.Close(fd)
		}
	}
}

// A ward is a process group whose keeper was killed.
type ward struct {
	group int
	pidfd int // of its leader, -1 if there is none
}

// end ends the group.
func (w ward) end(grace time.Duration) {
	const interval = 10 * time.Millisecond
	w.signal(unix.SIGTERM)
	w.signal(unix.SIGCONT) // a stopped process handles the signal only when it is continued
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(interval) {
		if errors.Is(w.signal(0), unix.ESRCH) {
			return
		}
	}
	w.signal(unix.SIGKILL)
}
