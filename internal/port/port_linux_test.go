package port

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// ipLocalPortRange is IP_LOCAL_PORT_RANGE of Linux 6.3: the ports from which the kernel may
// choose for one socket, the last one in the upper half.
const ipLocalPortRange = 51

// onlyFrom returns a socket for which the kernel can choose this port only.
func onlyFrom(t *testing.T, p *Port) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipLocalPortRange, p.Number<<16|p.Number); err != nil {
		t.Skipf("this kernel chooses ports for all sockets alike: %v", err)
	}
	return fd
}

func mustReserve(t *testing.T) *Port {
	t.Helper()
	p, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Release)
	return p
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestAReservedPortRefusesUntilSomebodyListens(t *testing.T) {
	p := mustReserve(t)
	for range 2 {
		if conn, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial: %v, %v", conn, err)
		}
		l := listen(t, p.Addr())
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		_ = l.Close()
	}
}

func TestTheKernelGivesAReservedPortToNobodyElse(t *testing.T) {
	p := mustReserve(t)
	server := listen(t, "127.0.0.1:0").Addr().(*net.TCPAddr).Port
	loopback := [4]byte{127, 0, 0, 1}
	dial := func() error {
		return syscall.Connect(onlyFrom(t, p), &syscall.SockaddrInet4{Port: server, Addr: loopback})
	}
	choose := func() error {
		_, err := bind(onlyFrom(t, p)) // with SO_REUSEADDR, as net.Listen does
		return err
	}
	for range 2 { // also after a server has come and gone
		if err := choose(); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a listener was given the port: %v", err)
		}
		if err := dial(); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("a connection was given the port: %v", err)
		}
		_ = listen(t, p.Addr()).Close()
	}
	p.Release()
	p.Release()
	if err := dial(); err != nil {
		t.Errorf("a connection from the released port: %v", err)
	}
}
