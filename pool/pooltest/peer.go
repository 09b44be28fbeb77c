package pooltest

import (
	"net"
	"slices"
	"strings"
)

// A peer is the server's end of one connection.
type peer struct {
	server   *server
	conn     net.Conn
	protocol int

	listening listening
}

// reply sends v. It ignores errors, since the client may have closed the connection.
func (p *peer) reply(v any) {
	p.server.awake()
	_, _ = p.conn.Write(encode(nil, p.protocol, v))
}

// hangUp closes the connection, so that the client reads an end of file.
func (p *peer) hangUp() { p.conn.Close() }

// reset closes the connection with a TCP reset.
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

// freezable is a connection that is not read while the server is frozen.
type freezable struct {
	server *server
	net.Conn
}

func (g freezable) Read(p []byte) (int, error) {
	g.server.awake()
	n, err := g.Conn.Read(p)
	g.server.awake()
	return n, err
}

// busy answers a RESP2 client that is subscribed and sends another command.
func busy(p *peer, args []string) {
	p.reply(failure("ERR Can't execute '" + args[0] + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"))
}

// subcommands are the subcommands of CLIENT in greetings.
var subcommands = []string{"SETINFO", "SETNAME", "TRACKING", "NO-EVICT", "NO-TOUCH", "CAPA", "ID"}

// greet answers the commands of greetings and subscriptions, and ECHO.
func greet(p *peer, args []string) {
	switch args[0] {
	case "HELLO", "hello":
		hello(p, args[1:])
	case "AUTH", "auth":
		p.server.keepPassword(args[len(args)-1])
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
			p.server.keepPassword(args[i+2])
		}
	}
	p.reply(pairs{
		bulk("server"), bulk("redis"), bulk("version"), bulk("7.0.0"),
		bulk("proto"), integer(p.protocol), bulk("id"), integer(1),
		bulk("mode"), bulk("standalone"), bulk("role"), bulk("master"), bulk("modules"), array{},
	})
}

// keepPassword records a password that a client sent.
func (s *server) keepPassword(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sentPasswords = append(s.sentPasswords, secret)
}

// passwords returns the passwords that clients sent.
func (s *server) passwords() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.sentPasswords...)
}
