package redisproc

import (
	"context"
	"net"
	"syscall"
	"testing"
)

// isFree reports whether a port is free for a socket that shares it with no other.
func isFree(addr string) bool {
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

func TestAKilledServerKeepsItsPortUntilItIsStopped(t *testing.T) {
	s := Start(t, Options{})
	for range 2 {
		s.Kill()
		if isFree(s.Addr()) {
			t.Errorf("%s of a killed server is free", s.Addr())
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	s.Kill()
	s.Stop()
	if !isFree(s.Addr()) {
		t.Errorf("%s of a stopped server is taken", s.Addr())
	}
}
