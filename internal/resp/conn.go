package resp

import (
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/quorumlock/quorumlock/pool"
)

// A Conn is a connection that was dialed and greeted. One goroutine at a time calls Send and
// Flush, and another one Receive. Close of the connection below interrupts both.
type Conn struct {
	conn net.Conn

	out []byte // written by Send, sent by Flush

	in    []byte // read from conn
	used  int    // bytes of in that were decoded
	reply Decoder
}

const (
	// outSize is how much memory out keeps. A batch is rarely larger.
	outSize = 128 << 10
	// inSize is the size of in, as long as no reply is larger.
	inSize = 16 << 10
)

// NewConn begins the use of a connection, on which no reply is outstanding.
func NewConn(conn net.Conn) *Conn { return &Conn{conn: conn, in: make([]byte, 0, inSize)} }

// Send writes a command into a buffer. Arguments are strings and int64s.
func (c *Conn) Send(args []any) error {
	var err error
	c.out, err = AppendCommand(c.out, args)
	return err
}

// Flush sends what Send has written.
func (c *Conn) Flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.out)
	if cap(c.out) > outSize {
		c.out = nil
	}
	c.out = c.out[:0]
	return err
}

// Receive waits for the next reply, and skips pushes. An error reply is a [pool.Error]. After any
// other error the connection is of no use.
func (c *Conn) Receive() (any, error) {
	c.reply.Reset()
	c.reply.Pushes = true
	for {
		for c.used < len(c.in) {
			n, err := c.reply.token(c.in[c.used:])
			if err != nil {
				return nil, err
			}
			if n == 0 {
				break
			}
			c.used += n
			if c.reply.Done {
				return c.result()
			}
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// Buffered is how many bytes were read and belong to no reply so far.
func (c *Conn) Buffered() int { return len(c.in) - c.used }

func (c *Conn) result() (any, error) {
	if refusal, ok := c.reply.Value.(pool.Error); ok {
		return nil, refusal
	}
	return c.reply.Value, nil
}

// fill reads what has arrived.
func (c *Conn) fill() error {
	switch {
	case c.used == len(c.in):
		c.in = c.in[:0]
		if cap(c.in) > 4*inSize {
			c.in = make([]byte, 0, inSize)
		}
	case c.used > 0:
		c.in = c.in[:copy(c.in, c.in[c.used:])]
	case len(c.in) == cap(c.in):
		c.in = append(c.in, 0)[:len(c.in)]
	}
	c.used = 0
	n, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil // the next Read returns the error again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// AppendCommand appends a command in the form of the protocol: an array of bulk strings.
func AppendCommand(b []byte, args []any) ([]byte, error) {
	b = appendLength(b, '*', len(args))
	for _, arg := range args {
		switch arg := arg.(type) {
		case string:
			b = appendLength(b, '$', len(arg))
			b = append(b, arg...)
		case int64:
			var digits [20]byte
			text := strconv.AppendInt(digits[:0], arg, 10)
			b = appendLength(b, '$', len(text))
			b = append(b, text...)
		default:
			return b, fmt.Errorf("resp: an argument is a string or an int64, not %T", arg)
		}
		b = append(b, '\r', '\n')
	}
	return b, nil
}

func appendLength(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, '\r', '\n')
}
