package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// patience bounds one command: a server that does not answer is a result, too.
const patience = 5 * time.Second

// conn is a connection that shows replies as they come over the wire, and not as
// a client library reads them.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func dial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, nil
}

// do sends one command and returns the reply in one line: the first byte of an
// error or an integer shows its type, a text is quoted.
func (c *conn) do(args ...string) string {
	if err := c.send(args...); err != nil {
		return "closed: " + end(err)
	}
	return c.next()
}

func (c *conn) send(args ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	_, err := io.WriteString(c, b.String())
	return err
}

// next reads one reply.
func (c *conn) next() string {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "closed: " + end(err)
	}
	reply, err := c.read()
	if err != nil {
		return "closed: " + end(err)
	}
	return reply
}

// end is the reason without addresses, which differ each time.
func end(err error) string {
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+1:]
}

func (c *conn) read() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return "", io.ErrUnexpectedEOF
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+':
		return rest, nil
	case '_':
		return "nil", nil
	case '-', ':', ',', '#':
		return line, nil
	}
	n, err := strconv.Atoi(rest)
	if err != nil {
		return "", fmt.Errorf("malformed reply %q", line)
	}
	switch {
	case n < 0:
		return "nil", nil
	case kind == '$' || kind == '=':
		b := make([]byte, n+2)
		if _, err := io.ReadFull(c.r, b); err != nil {
			return "", err
		}
		return strconv.Quote(string(b[:n])), nil
	case kind == '%':
		n *= 2
	}
	elements := make([]string, n)
	for i := range elements {
		if elements[i], err = c.read(); err != nil {
			return "", err
		}
	}
	return "[" + strings.Join(elements, " ") + "]", nil
}
