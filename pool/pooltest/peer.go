package pooltest

import (
	"net"
	"slices"
	"strings"
)

// A peer is one connection, seen from the server.
type peer struct {
	server   *server
	conn     net.Conn
	protocol int

	listening listening
}

// reply sends v. That the client has hung up is its own affair.
func (p *peer) reply(v any) {
	p.server.awake()
	_, _ = p.conn.Write(encode(nil, p.protocol, v))
}

// hangUp closes the connection, so that the client reads an end of file.
func (p *peer) hangUp() { p.conn.Close() }

// reset closes the connection as a host that lost it does.
func (p *peer) reset() {
	if tcp, ok := p.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	p.conn.Close()
}

// hold waits until released is closed or the test is over.
func (p *peer) hold(released <-chan struct{}) {
	select {
	case <-released:
	case <-p.server.over:
	}
}

// gated is the connection of a server that may be frozen: what has arrived is
// not read.
type gated struct {
	server *server
	net.Conn
}

func (g gated) Read(p []byte) (int, error) {
	g.server.awake()
	n, err := g.Conn.Read(p)
	g.server.awake()
	return n, err
}

// busy answers a client that listens and asks for something else.
func busy(p *peer, args []string) {
	p.reply(failure("ERR Can't execute '" + args[0] + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"))
}

// subcommands are those of CLIENT that clients send when they connect.
var subcommands = []string{"SETINFO", "SETNAME", "TRACKING", "NO-EVICT", "NO-TOUCH", "CAPA", "ID"}

// greet answers what clients send when they connect or listen, and ECHO.
func greet(p *peer, args []string) {
	switch args[0] {
	case "HELLO", "hello":
		hello(p, args[1:])
	case "AUTH", "auth":
		p.server.confided(args[len(args)-1])
		p.reply(simple("OK"))
	case "CLIENT", "client":
		if len(args) > 1 && slices.Contains(subcommands, strings.ToUpper(args[1])) {
			p.reply(simple("OK"))
			return
		}
		p.reply(failure("ERR unknown subcommand"))
	case "SELECT", "select":
		p.reply(simple("OK"))
	case "PING", "ping":
		p.ping(args[1:])
	case "SUBSCRIBE", "subscribe":
		p.subscribe(args[1:])
	case "UNSUBSCRIBE", "unsubscribe":
		p.unsubscribe(args[1:])
	case "ECHO":
		p.reply(bulk(args[1]))
	default:
		p.reply(failure("ERR unknown command '" + args[0] + "'"))
	}
}

// hello answers HELLO [protocol [AUTH user password] [SETNAME name]].
func hello(p *peer, args []string) {
	if len(args) > 0 {
		switch args[0] {
		case "2":
			p.protocol = 2
		case "3":
			p.protocol = 3
		default:
			p.reply(failure("NOPROTO unsupported protocol version"))
			return
		}
	}
	for i, arg := range args {
		if (arg == "AUTH" || arg == "auth") && i+2 < len(args) {
			p.server.confided(args[i+2])
		}
	}
	p.reply(pairs{
		bulk("server"), bulk("redis"), bulk("version"), bulk("7.0.0"),
		bulk("proto"), integer(p.protocol), bulk("id"), integer(1),
		bulk("mode"), bulk("standalone"), bulk("role"), bulk("master"), bulk("modules"), array{},
	})
}

// confided keeps a password that a client sent.
func (s *server) confided(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, secret)
}

// known returns the passwords that clients sent.
func (s *server) known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.secrets...)
}
