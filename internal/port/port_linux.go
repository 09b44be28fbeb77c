package port

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
)

// reserve binds a socket that never listens. As it has SO_REUSEADDR, another socket with that
// option may bind the same port and listen; net.Listen and redis-server set it. The kernel
// never chooses a bound port by itself. A connection to it is refused while nobody listens.
func reserve() (number int, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, failed("socket", err)
	}
	release = func() { _ = syscall.Close(fd) }
	number, err = bind(fd)
	if err != nil {
		release()
		return 0, nil, err
	}
	return number, release, nil
}

func bind(fd int) (int, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, failed("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, failed("bind", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, failed("getsockname", err)
	}
	return bound.(*syscall.SockaddrInet4).Port, nil
}

func failed(call string, err error) error {
	return fmt.Errorf("reserve a port on 127.0.0.1: %w", os.NewSyscallError(call, err))
}

// IsFree, for tests, reports whether a port is free for a socket that shares it with no other.
func IsFree(addr string) bool {
	alone := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		outer := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
		})
		if outer != nil {
			return outer
		}
		return err
	}}
	l, err := alone.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
