package servers_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
)

// A filter is before a server, as proxies and services are that let not everything
// through: it answers some commands itself, and changes others on the way.
type filter struct {
	upstream string

	// handle returns the reply to a command in place of the server's, or what to send in
	// place of the command; nothing lets it through.
	handle func(args []string) (reply string, instead []string)
}

// filtered puts a filter before each server and returns their addresses. made is called
// for each, since a server knows its scripts.
func (all servers) filtered(t testing.TB, made func() func(args []string) (reply string, instead []string)) (addrs []string) {
	t.Helper()
	for _, s := range all {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		f := &filter{s.Addr(), made()}
		go func() { // ends when the listener is closed
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go f.serve(conn) // ends when either side closes
			}
		}()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

func (f *filter) serve(conn net.Conn) {
	defer conn.Close()
	server, err := net.Dial("tcp", f.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	commands, replies := bufio.NewReader(conn), bufio.NewReader(server)
	for {
		args, err := readCommand(commands)
		if err != nil {
			return
		}
		reply, instead := f.handle(args)
		if reply == "" {
			if instead != nil {
				args = instead
			}
			if _, err := io.WriteString(server, commandBytes(args)); err != nil {
				return
			}
			if strings.EqualFold(args[0], "SUBSCRIBE") { // from here on there are no pairs
				go func() { _, _ = io.Copy(server, commands); _ = server.Close() }() // ends when the client closes
				_, _ = io.Copy(conn, replies)
				return
			}
			if reply, err = readRaw(replies); err != nil {
				return
			}
		}
		if _, err := io.WriteString(conn, reply); err != nil {
			return
		}
	}
}

func commandBytes(args []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return b.String()
}

func readCommand(r *bufio.Reader) (args []string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	for range n {
		var raw string
		if raw, err = readRaw(r); err != nil {
			break
		}
		_, raw, _ = strings.Cut(raw, "\n")
		args = append(args, strings.TrimSuffix(raw, "\r\n"))
	}
	return args, err
}

// readRaw returns the bytes of one reply, of either version of the protocol.
func readRaw(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$', '=', '!':
		if n < 0 {
			return line, nil
		}
		b := make([]byte, n+2)
		_, err := io.ReadFull(r, b)
		return line + string(b), err
	case '%':
		n *= 2
		fallthrough
	case '*', '~', '>':
		for range n {
			element, err := readRaw(r)
			if err != nil {
				return "", err
			}
			line += element
		}
	}
	return line, nil
}
