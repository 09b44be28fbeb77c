package redlocktest

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
)

// listener accepts connections for a node. serve takes a connection and returns false if the
// node is stopped.
type listener interface {
	addr() string
	dial(ctx context.Context) (net.Conn, error)
	open() error // accept connections, always on the same address
	shut()       // accept no more connections and cut the existing ones
	wait()       // return when no goroutine of it is left
	close()      // shut for good
}

type listenFunc func(number int, serve func(net.Conn) bool) (listener, error)

// inMemory is a listener without sockets: a dial hands the other end to the node.
type inMemory struct {
	address *net.TCPAddr
	serve   func(net.Conn) bool
}

func listenInMemory(number int, serve func(net.Conn) bool) (listener, error) {
	// An IP address, because a host name would be resolved by the client's
	// dialer, outside of any bubble.
	ip := net.IPv4(192, 0, 2, byte(number+1))
	return &inMemory{address: &net.TCPAddr{IP: ip, Port: 6379}, serve: serve}, nil
}

func (l *inMemory) addr() string { return l.address.String() }

func (l *inMemory) dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("redlocktest: dial %s: %w", l.address, err)
	}
	client, server := pipe(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 0)}, l.address)
	if !l.serve(server) {
		return nil, &net.OpError{
			Op: "dial", Net: "tcp", Addr: l.address,
			Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
		}
	}
	return client, nil
}

func (l *inMemory) open() error { return nil }

// miniredis closes the node's connections, so there is nothing to do.
func (l *inMemory) shut()  {}
func (l *inMemory) wait()  {}
func (l *inMemory) close() {}
