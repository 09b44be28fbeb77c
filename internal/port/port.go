// Package port reserves TCP ports on 127.0.0.1 for servers that stop and start again on the
// same address, as those of tests do.
//
// A port that a server has chosen and left is free for everybody: for the listener of another
// process, and for the local end of any outgoing connection. A test then fails because its
// server cannot come back.
package port

import (
	"net"
	"strconv"
	"sync"
)

// A Port is reserved until Release. Whoever names it can listen on it. Nobody is given it who
// asks for any free port, for a listener or for a connection.
type Port struct {
	Number int

	release func()
}

// Reserve finds a free port and reserves it. Only Linux can reserve: elsewhere the port is
// one that others are unlikely to choose.
func Reserve() (*Port, error) {
	number, release, err := reserve()
	if err != nil {
		return nil, err
	}
	return &Port{Number: number, release: sync.OnceFunc(release)}, nil
}

// Addr returns host and port.
func (p *Port) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number)) }

// Release ends the reservation. It may be called again.
func (p *Port) Release() { p.release() }
