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

// A process that is killed cannot end its command: SIGKILL and the OOM killer leave no time
// for it. So a second process, the guard, waits for that. It is this program once more, and
// holds one end of a socket whose other end only redlock has. When that ends the guard ends
// the command's process group: SIGTERM at once, SIGKILL after the grace time.
//
//   - No goodbye can be lost: when the command has ended redlock kills the guard, which is
//     its child and cannot be mistaken for another process, and waits for it. So none is left.
//   - The guard has a session of its own. A terminal's keys, Ctrl-Z, and whoever kills
//     redlock's process group (timeout -s KILL) do not reach it.
//   - It keeps no files open, its own and inherited ones: nobody waits for its end at the
//     other end of a pipe, and no flock(2) outlives redlock.
//   - If it dies first, another one is started.
//   - It is told the group before the command runs: see starter.go. What it was told lies in
//     the socket, also if redlock is killed before the guard has read it.
//
// A process that went into a group of its own (setsid, a daemon) is out of its reach, as it is
// out of redlock's.

// guardName is the guard's first argument: what ps shows.
const guardName = "redlock: ends the command if redlock is killed"

// A guard is the process that outlives this one.
type guard struct {
	mu      sync.Mutex // protects process where keep sets it and dismiss reads it, and over
	process *os.Process
	end     int           // of the socket; the guard has the other one
	over    chan struct{} // closed by dismiss
	gone    chan struct{} // closed when nobody looks after the process any more
	message []byte        // nil until watch
	pidfd   int
}

// startGuard starts the guard of a command that is to be started: it may be too late after
// that. It has nothing to end until watch.
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
		g.send() // it waits in the socket, so there is no moment in which the new guard knows nothing
	}
	process, err := startItself(theirs)
	if err != nil {
		_ = unix.Close(ours)
		return err
	}
	g.process = process
	return nil
}

// socketpair returns both ends of a socket. No process inherits one that is not meant to, or the
// other end would never read an end.
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

// watch tells the guard which group to end.
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
		Dir:   "/",        // it keeps no file system busy
		Env:   []string{}, // there may be passwords in it
		Files: []*os.File{socket, null, null},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// itself is the file of this program.
func itself() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil // also if the file was replaced meanwhile
	}
	return os.Executable()
}

// again is the pause before a guard that died is replaced: whatever it died of may last.
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
			if !g.dismissed() { // or nobody would kill it
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
	_ = g.process.Kill() // or it is gone already
	g.mu.Unlock()
	<-g.gone // it is killed, or none is running
}

// Guard is the whole guard, if this process is one: it does not return then. Call it before
// anything else.
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
		os.Exit(0) // redlock was killed, or could not tell: it has started nothing for us to end
	}
	group := int(binary.NativeEndian.Uint64(message[:]))
	grace := time.Duration(binary.NativeEndian.Uint64(message[8:]))
	ward := ward{group: group, pidfd: pidfdOf(rights[:oob])}
	for n > 0 || errors.Is(err, unix.EINTR) { // nothing more comes but the end
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
	w.signal(unix.SIGCONT) // what is stopped can only act on the signal then
	for deadline := time.Now().Add(grace); time.Now().Before(deadline); time.Sleep(interval) {
		if errors.Is(w.signal(0), unix.ESRCH) {
			return
		}
	}
	w.signal(unix.SIGKILL)
}
